"""Which repository a book is built from, so that the links of a fork lead to the fork."""

import os
import re
import subprocess

__all__ = ["branch", "changed", "repository_url", "site_url"]


def repository_url() -> str:
    """Address of the repository without a trailing ".git", or "" when there is none to link to.

    GITHUB_SERVER_URL and GITHUB_REPOSITORY (set where the book is published) come first, then the
    git remote "origin" if it is a web or ssh address.
    """
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    return web_address(_git("remote", "get-url", "origin"))


def web_address(remote: str) -> str:
    """A git remote as a web address; "" for a path or nothing.

    >>> web_address("git@github.com:someone/book.git")
    'https://github.com/someone/book'
    >>> web_address("/a/folder")
    ''
    """
    if ssh := re.fullmatch(r"(?:ssh://)?git@([\w.-]+)[:/](.+?)(?:\.git)?/?", remote):
        return f"https://{ssh[1]}/{ssh[2]}"
    if web := re.fullmatch(r"https?://(?:[^@/]+@)?([\w.:-]+/.+?)(?:\.git)?/?", remote):
        return f"https://{web[1]}"
    return ""


def site_url(repository: str) -> str:
    """Where GitHub Pages publishes a repository, with a slash at the end; "" for other hosts.

    >>> site_url("https://github.com/someone/book")
    'https://someone.github.io/book/'
    >>> site_url("https://github.com/someone/someone.github.io")
    'https://someone.github.io/'
    """
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+)", repository)
    if not found:
        return ""
    owner, name = found[1].lower(), found[2]
    home = f"https://{owner}.github.io/"
    return home if name.lower() == f"{owner}.github.io" else f"{home}{name}/"


def changed() -> str:
    """Day of the newest commit, such as "2026-11-21"; "" outside a repository."""
    return _git("log", "-1", "--format=%cs")


def branch() -> str:
    """The branch that is built: GITHUB_REF_NAME, else git's, else "main"."""
    name = os.environ.get("GITHUB_REF_NAME") or _git("rev-parse", "--abbrev-ref", "HEAD")
    return name if name and name != "HEAD" else "main"


def _git(*arguments: str) -> str:
    """What git says, or "" where it knows nothing."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
