"""Installs PowerPi; the page's files in www/ become the data of the package powerpi.www."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "powerpi/__init__.py").read_text(encoding="utf-8"))

setup(
    name="powerpi",
    version=VERSION.group(1),
    description="Counts the S0 pulses of electricity meters on a Raspberry Pi and shows true graphs of them",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    install_requires=["gpiozero", "rrdtool", "bottle>=0.12.23", "waitress>=2.1.2"],
    extras_require={"push": ["requests"]},
    packages=["powerpi", "powerpi.www"],
    package_dir={"powerpi.www": "www"},
    package_data={"powerpi.www": ["*.html", "static/*"]},
    data_files=[("share/powerpi", ["init/powerpi.conf"])],  # the sample that `powerpi setup` fills in
    entry_points={
        "console_scripts": ["powerpi=powerpi.cli:main"],
        "gpiozero_pin_factories": ["powerpi=powerpi.pin:KernelFactory"],
    },
)
