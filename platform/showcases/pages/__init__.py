"""Self-contained HTML pages with a shared style sheet."""

import base64

from showcases.extras import imports_of

with imports_of("studies", "ray"):
    from jinja2 import Environment, PackageLoader


def page(name: str, **shown: object) -> str:
    """The template `<name>.html.j2`, self-contained; every text is escaped."""
    environment = Environment(
        loader=PackageLoader("showcases", "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template(f"{name}.html.j2").render(**shown)
