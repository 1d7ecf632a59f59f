"""Phrases of the reviews: five voices, sentences about scenes, and about things that no photo shows.

In templates: {np} the dish with its variant, {Np} the same capitalised, {noun} the bare noun, {detail} what meets the
eye, {was} was/were, {it} it/they, {adj} an adjective, {plate} and {accent} colours. No full stops inside a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """A writing style: templates for dishes, adjectives by mood, openings and closings."""

    dishes: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    openings: tuple[str, ...]
    closings: tuple[str, ...]
    fillers: tuple[int, int]  # fewest and most sentences about what no photo shows
    chatter: float  # chance of a sentence about each thing photographed, 0 to 1


VOICES: dict[str, Voice] = {
    "terse": Voice(
        dishes=(
            "{Np}, {adj}.",
            "The {np} {was} {adj}.",
            "Had the {np}, {adj}.",
            "{Np} with {detail}, {adj}.",
            "Get the {np}.",
            "{Detail}, {adj} {noun}.",
        ),
        good=("solid", "good", "tasty", "fresh", "great", "on point"),
        bad=("bland", "cold", "dry", "so so", "salty"),
        openings=("Quick lunch.", "Second visit.", "Stopped by on Friday."),
        closings=("Will return.", "Recommended.", "Good value.", "Fine by me."),
        fillers=(1, 2),
        chatter=0.9,
    ),
    "chatty": Voice(
        dishes=(
            "I went for the {np} this time and honestly {it} {was} {adj}.",
            "We shared the {np}, and the {detail} made the whole table happy.",
            "My friend talked me into the {np} and I have to say {it} {was} {adj}.",
            "My husband ordered the {np} and kept telling me how {adj} {it} {was}.",
            "The {np} came on a {plate} plate with {detail} and {was} really {adj}.",
            "If you like {noun} as much as we do, the {np} here {was} pretty {adj}.",
        ),
        good=("delicious", "tasty", "wonderful", "comforting", "flavorful", "generous"),
        bad=("disappointing", "a bit cold", "rather bland", "too salty", "overcooked"),
        openings=(
            "We came here with the whole family on a Saturday.",
            "A coworker told me about this place weeks ago.",
            "We were just walking around the block when we found it.",
        ),
        closings=(
            "We will definitely be back with friends.",
            "I already told my sister about it.",
            "All in all we had a lovely time.",
        ),
        fillers=(1, 3),
        chatter=0.8,
    ),
    "exclamatory": Voice(
        dishes=(
            "OMG the {np} {was} {adj}!",
            "You have to try the {np}!!",
            "The {detail} on that {noun}, wow!",
            "Best {noun} ever, the {np} {was} {adj}!",
            "Look at the {detail}, so {adj}!",
            "I could eat the {np} every single day 😍!",
        ),
        good=("amazing", "insane", "incredible", "perfect", "heavenly", "unreal"),
        bad=("awful", "cold", "a total letdown", "soggy", "so bland"),
        openings=("Wow wow wow!", "Finally made it here!", "This place 🔥!"),
        closings=("Go now!!", "Five stars from me!", "Can not wait to come back!", "Love love love!"),
        fillers=(1, 2),
        chatter=0.9,
    ),
    "poetic": Voice(
        dishes=(
            "The {np} arrived like a small sunrise, {adj} and full of promise.",
            "Under the lamp the {detail} shone, and the {noun} tasted {adj}.",
            "Every bite of the {np} was {adj}, a memory of long summers.",
            "On its {plate} plate the {np} looked {adj}, almost too pretty to eat.",
            "I lost myself in the {np}, in its {detail} and its quiet warmth.",
        ),
        good=("tender", "radiant", "delicate", "fragrant", "silken", "gentle"),
        bad=("weary", "pale", "lukewarm", "tired", "forgettable"),
        openings=(
            "Rain was falling when we stepped inside.",
            "There are evenings that ask for a good table.",
            "The street was quiet and we were hungry.",
        ),
        closings=("We left with lighter hearts.", "Some places stay with you.", "I keep thinking of that evening."),
        fillers=(0, 2),
        chatter=0.85,
    ),
    "critical": Voice(
        dishes=(
            "The {np} {was} {adj}, though the portion could be larger.",
            "I judge a kitchen by its {noun}, and here the {np} {was} {adj}.",
            "Technically the {np} {was} {adj}, with {detail} in the right amount.",
            "The {detail} on the {noun} {were} {adj}, as one should expect.",
            "For this price the {np} {was} {adj}.",
            "Compared with other places in town the {np} {was} {adj}.",
        ),
        good=("well executed", "balanced", "properly seasoned", "decent", "above average", "carefully plated"),
        bad=("underseasoned", "overpriced", "lukewarm", "poorly plated", "below average"),
        openings=("I have eaten at most restaurants in this area.", "I came with high expectations.", "Second try."),
        closings=("Worth a visit, with reservations.", "I will give it another chance.", "Not bad at all."),
        fillers=(1, 3),
        chatter=0.75,
    ),
}

SCENE_TALK: dict[str, tuple[str, ...]] = {
    "room": (
        "The dining room with its {accent} chairs feels cosy.",
        "Inside, the {accent} chairs and the lamps make a pretty room.",
        "I like the interior, all {accent} seats and warm lamps.",
    ),
    "front": (
        "From the street you can not miss the {accent} awning.",
        "The front with its {accent} awning looks so inviting.",
        "Look for the {accent} awning by the door.",
    ),
    "menu": (
        "The menu is short and easy to read.",
        "Take a picture of the menu before you go, like I did.",
        "The menu board with the {accent} frame lists everything.",
    ),
    "terrace": (
        "We sat outside on the terrace under a {accent} umbrella.",
        "The terrace with its {accent} umbrellas is the best spot on a sunny day.",
        "Outdoor tables and {accent} umbrellas, just what I wanted.",
    ),
    "bar": (
        "The bar has a long row of bottles and {accent} stools.",
        "Sitting at the bar on the {accent} stools was fun.",
        "Nice bar with shelves full of bottles.",
    ),
    "kitchen": (
        "You can watch the cooks in the open kitchen.",
        "The open kitchen with pots on the fire is a show of its own.",
        "I loved seeing the chef at work in the kitchen.",
    ),
}

VAGUE: dict[str, tuple[str, ...]] = {
    "dish": ("The food looked great.", "Everything on our plates was tasty.", "The food is so photogenic."),
    "scene": ("The place is lovely.", "Such a nice atmosphere.", "The decor is charming."),
}

FILLERS_GOOD: tuple[str, ...] = (
    "Parking was easy.",
    "The service was quick and friendly.",
    "Our waiter was attentive and funny.",
    "Prices are fair for this part of town.",
    "We did not have to wait at all.",
    "The staff remembered my name.",
    "They were patient with our kids.",
    "It was clean everywhere, even the restrooms.",
    "You can book online in a minute.",
    "The music was not too loud.",
    "They let us bring our dog.",
    "The owner came over to say hello.",
    "It is two minutes from the station.",
    "They take all kinds of cards.",
    "We celebrated my birthday here.",
    "Takeout was ready right on time.",
)
FILLERS_BAD: tuple[str, ...] = (
    "We waited forty minutes to be seated.",
    "The service was slow that night.",
    "Parking is a nightmare on weekends.",
    "It was too loud to talk.",
    "The waiter forgot our drinks twice.",
    "Prices went up again since last year.",
    "Nobody answered the phone.",
    "They only take cash.",
)
