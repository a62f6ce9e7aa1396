# @title Only on Google Colab: bnviz, from the repository of this notebook
import os
import re
import subprocess
import sys
from urllib.parse import unquote
from urllib.request import urlopen

if "google.colab" in sys.modules:
    server = "{COLAB_JUPYTER_IP}:{KMP_TARGET_PORT}".format(**os.environ)
    with urlopen(f"http://{server}/api/sessions") as answer:
        opened = unquote(answer.read().decode())
    found = re.search(r"github\.com/([^/]+/[^/]+)/blob/([^/]+)/", opened)
    if not found:
        raise RuntimeError("open this notebook from its page in the book")
    place = "{}@{}".format(*found.groups())
    source = f"bnviz[book] @ git+https://github.com/{place}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
