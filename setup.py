"""What pyproject.toml cannot say: the folder configs/ is installed inside the package market."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["market", "market.*", "policies", "policies.*"]), "market.configs"],
    package_dir={"market.configs": "configs"},
    package_data={
        "market": ["py.typed", "calibration/*.j2", "metrics/*.yaml"],
        "market.configs": ["*.yaml"],
        "policies": ["py.typed", "views/templates/*", "deployment/*.j2"],
    },
    include_package_data=False,  # the wheel holds what is named here, and not all that the source archive does
    py_modules=["bazaar_start"],
)
