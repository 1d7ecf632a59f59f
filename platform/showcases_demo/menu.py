"""The visual vocabulary: dishes with their visible variants, scenes, cuisines.

Shared by drawings, sentences and tastes, so that words and shapes are consistent.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """The subject of a photo or sentence: a dish or a scene, and its visible variant."""

    kind: str  # "dish" or "scene"
    name: str
    variant: str = ""  # empty in a sentence that names no variant

    def __str__(self) -> str:
        return f"{self.name}/{self.variant}" if self.variant else self.name


@dataclass(frozen=True)
class Variant:
    """A version of a dish that a person can see.

    `phrases` name the dish with it ("pepperoni pizza"); `detail` is a plural noun for what meets the eye.
    """

    phrases: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Dish:
    """A dish: its noun, whether the noun is plural, and its variants."""

    noun: str
    plural: bool
    variants: dict[str, Variant]


def _dish(noun: str, plural: bool = False, **variants: tuple[str, str, str]) -> Dish:
    return Dish(noun, plural, {name: Variant(row[:2], row[2]) for name, row in variants.items()})


DISHES: dict[str, Dish] = {
    "pizza": _dish(
        "pizza",
        pepperoni=("pepperoni pizza", "pizza with pepperoni", "crisp pepperoni slices"),
        mushroom=("mushroom pizza", "pizza with mushrooms", "roasted mushrooms"),
        basil=("margherita pizza", "pizza with fresh basil", "green basil leaves"),
    ),
    "ramen": _dish(
        "ramen",
        egg=("egg ramen", "ramen with soft eggs", "jammy egg halves"),
        pork=("pork ramen", "ramen with pork belly", "slices of pork belly"),
        corn=("corn ramen", "ramen with sweet corn", "bright corn kernels"),
    ),
    "burger": _dish(
        "burger",
        cheese=("cheeseburger", "burger with melted cheese", "melted cheese corners"),
        bacon=("bacon burger", "burger with crispy bacon", "crispy bacon strips"),
        tomato=("garden burger", "burger with fresh tomato", "thick tomato slices"),
    ),
    "sushi": _dish(
        "sushi",
        salmon=("salmon sushi", "sushi with salmon", "orange slices of salmon"),
        tuna=("tuna sushi", "sushi with tuna", "deep red slices of tuna"),
        avocado=("avocado sushi", "sushi with avocado", "green avocado slices"),
    ),
    "salad": _dish(
        "salad",
        greek=("greek salad", "salad with feta and olives", "white feta cubes"),
        caesar=("caesar salad", "salad with croutons", "golden croutons"),
        beet=("beet salad", "salad with beets", "purple beet rounds"),
    ),
    "tacos": _dish(
        "tacos",
        True,
        beef=("beef tacos", "tacos with beef", "juicy bits of beef"),
        shrimp=("shrimp tacos", "tacos with shrimp", "pink curls of shrimp"),
        corn=("street corn tacos", "tacos with corn", "yellow corn kernels"),
    ),
    "cake": _dish(
        "cake",
        chocolate=("chocolate cake", "slice of chocolate cake", "dark chocolate layers"),
        strawberry=("strawberry cake", "slice of strawberry cake", "pink strawberry layers"),
        lemon=("lemon cake", "slice of lemon cake", "yellow lemon layers"),
    ),
    "curry": _dish(
        "curry",
        red=("red curry", "spicy red curry", "red chili pieces"),
        green=("green curry", "thai green curry", "green herb leaves"),
        yellow=("yellow curry", "golden yellow curry", "golden potato chunks"),
    ),
    "dumplings": _dish(
        "dumplings",
        True,
        steamed=("steamed dumplings", "dumplings from the steamer", "thin white wrappers"),
        fried=("fried dumplings", "pan fried dumplings", "crisp golden bottoms"),
        spinach=("spinach dumplings", "green spinach dumplings", "bright green wrappers"),
    ),
    "coffee": _dish(
        "coffee",
        latte=("latte", "coffee with latte art", "swirls of milk foam"),
        black=("black coffee", "cup of black coffee", "dark coffee bubbles"),
        mocha=("mocha with cream", "coffee with whipped cream", "whipped cream clouds"),
    ),
    "steak": _dish(
        "steak",
        butter=("steak with herb butter", "butter steak", "melting butter slices"),
        asparagus=("steak with asparagus", "asparagus steak", "green asparagus spears"),
        tomatoes=("steak with roasted tomatoes", "steak and cherry tomatoes", "roasted cherry tomatoes"),
    ),
    "pancakes": _dish(
        "pancakes",
        True,
        blueberry=("blueberry pancakes", "pancakes with blueberries", "plump blueberries"),
        strawberry=("strawberry pancakes", "pancakes with strawberries", "cut strawberries"),
        butter=("butter pancakes", "pancakes with butter and syrup", "syrup drips"),
    ),
    "icecream": _dish(
        "ice cream",
        vanilla=("vanilla ice cream", "cone of vanilla", "creamy vanilla scoops"),
        chocolate=("chocolate ice cream", "cone of chocolate ice cream", "dark chocolate scoops"),
        pistachio=("pistachio ice cream", "cone of pistachio", "green pistachio scoops"),
        strawberry=("strawberry ice cream", "cone of strawberry ice cream", "pink strawberry scoops"),
    ),
    "fries": _dish(
        "fries",
        True,
        ketchup=("fries with ketchup", "fries and ketchup", "red ketchup dips"),
        cheese=("cheese fries", "fries with cheese sauce", "cheese sauce drips"),
        herbs=("herb fries", "fries with parsley", "green parsley flakes"),
    ),
    "noodles": _dish(
        "noodles",
        True,
        shrimp=("shrimp noodles", "noodles with shrimp", "pink shrimp curls"),
        tofu=("tofu noodles", "noodles with tofu", "golden tofu cubes"),
        peppers=("pepper noodles", "noodles with bell peppers", "red pepper strips"),
    ),
    "soup": _dish(
        "soup",
        tomato=("tomato soup", "bowl of tomato soup", "swirls of cream on red"),
        pumpkin=("pumpkin soup", "bowl of pumpkin soup", "toasted pumpkin seeds"),
        pea=("pea soup", "bowl of green pea soup", "green pea swirls"),
    ),
    "sandwich": _dish(
        "sandwich",
        ham=("ham sandwich", "sandwich with ham", "pink ham folds"),
        egg=("egg sandwich", "sandwich with egg", "yellow egg layers"),
        tomato=("tomato sandwich", "sandwich with tomato and lettuce", "red tomato layers"),
    ),
    "donuts": _dish(
        "donuts",
        True,
        chocolate=("chocolate donuts", "donuts with chocolate glaze", "dark chocolate rings"),
        pink=("pink donuts", "donuts with pink glaze", "pink rings with sprinkles"),
        sugar=("sugar donuts", "donuts with white glaze", "white sugar rings"),
    ),
    "friedrice": _dish(
        "fried rice",
        egg=("egg fried rice", "fried rice with a fried egg", "fried egg edges"),
        shrimp=("shrimp fried rice", "fried rice with shrimp", "pink shrimp tails"),
        peas=("vegetable fried rice", "fried rice with peas and carrots", "peas and carrot cubes"),
    ),
    "hotdog": _dish(
        "hot dog",
        mustard=("hot dog with mustard", "mustard hot dog", "yellow mustard zigzags"),
        ketchup=("hot dog with ketchup", "ketchup hot dog", "red ketchup zigzags"),
        onions=("hot dog with crispy onions", "onion hot dog", "crispy onion bits"),
    ),
    "croissant": _dish(
        "croissant",
        plain=("butter croissant", "plain croissant", "flaky golden layers"),
        chocolate=("chocolate croissant", "croissant with chocolate", "dark chocolate stripes"),
        almond=("almond croissant", "croissant with almonds", "toasted almond flakes"),
    ),
    "cocktail": _dish(
        "cocktail",
        mojito=("mojito", "green mint cocktail", "green mint leaves"),
        sunrise=("tequila sunrise", "orange sunrise cocktail", "orange and red layers"),
        berry=("berry cocktail", "purple berry cocktail", "purple berry colors"),
    ),
    "beer": _dish(
        "beer",
        lager=("lager", "cold golden beer", "golden lager bubbles"),
        stout=("stout", "dark stout beer", "dark stout colors"),
        amber=("amber ale", "red amber beer", "copper ale colors"),
    ),
    "omelette": _dish(
        "omelette",
        tomato=("tomato omelette", "omelette with tomatoes", "little tomato halves"),
        herb=("herb omelette", "omelette with chives", "chopped green chives"),
        mushroom=("mushroom omelette", "omelette with mushrooms", "brown mushroom slices"),
    ),
    "fish": _dish(
        "fish",
        lemon=("whole fish with lemon", "lemon fish", "lemon wheels"),
        herb=("herb fish", "whole fish with herbs", "green herb sprigs"),
        tomato=("fish with tomatoes", "tomato baked fish", "roasted red tomatoes"),
    ),
    "pasta": _dish(
        "spaghetti",
        bolognese=("spaghetti bolognese", "spaghetti with meat sauce", "spoonfuls of meat sauce"),
        pesto=("spaghetti pesto", "spaghetti with green pesto", "green pesto coats"),
        meatballs=("spaghetti with meatballs", "meatball spaghetti", "big round meatballs"),
    ),
    "kebab": _dish(
        "kebab",
        chicken=("chicken kebab", "chicken skewers", "golden chicken chunks"),
        lamb=("lamb kebab", "lamb skewers", "dark charred lamb chunks"),
        vegetable=("vegetable kebab", "vegetable skewers", "peppers and zucchini rounds"),
    ),
    "oysters": _dish(
        "oysters",
        True,
        lemon=("oysters with lemon", "fresh oysters on ice", "lemon wedges on ice"),
        herb=("herb oysters", "oysters with green herbs", "green herb toppings"),
    ),
}
SCENES: tuple[str, ...] = ("room", "front", "menu", "terrace", "bar", "kitchen")

CUISINES: dict[str, tuple[str, ...]] = {
    "italian": ("pizza", "pasta", "salad", "soup", "cake", "coffee", "icecream", "fish"),
    "japanese": ("ramen", "sushi", "dumplings", "noodles", "friedrice", "beer", "fish"),
    "american": ("burger", "fries", "hotdog", "steak", "sandwich", "pancakes", "beer", "icecream"),
    "mexican": ("tacos", "salad", "cocktail", "fries", "soup", "beer", "oysters", "kebab"),
    "chinese": ("dumplings", "noodles", "friedrice", "soup", "fish", "beer"),
    "thai": ("curry", "noodles", "friedrice", "soup", "cocktail", "oysters"),
    "indian": ("curry", "kebab", "friedrice", "soup", "salad", "icecream"),
    "french": ("croissant", "omelette", "steak", "fish", "cake", "coffee", "oysters", "soup"),
    "cafe": ("coffee", "cake", "croissant", "donuts", "pancakes", "sandwich", "omelette", "salad"),
    "grill": ("steak", "kebab", "burger", "fries", "oysters", "beer", "cocktail", "salad"),
}
EXTRAS: tuple[str, ...] = ("salad", "fries", "coffee", "beer", "cocktail", "icecream", "cake", "soup")
