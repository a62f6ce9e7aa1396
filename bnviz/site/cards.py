"""The card that other places show for a link to a page: a figure of it."""

from html import escape

from sphinx.application import Sphinx

__all__ = ["social_card"]


def social_card(app: Sphinx, context: dict, picture: str, title: str) -> None:
    """Show a figure of the page wherever a link to it is shown; needs to know its own address."""
    if app.config.html_baseurl:
        tags = {"og:image": f"{app.config.html_baseurl}{picture}", "og:image:alt": title}
        context["metatags"] = context.get("metatags", "") + "".join(
            f'\n<meta property="{name}" content="{escape(content)}" />'
            for name, content in tags.items()
        )
