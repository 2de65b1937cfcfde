"""The compiled kernels, nothing else; all other metadata is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

# setuptools compiles the .pyx itself (Cython is a build requirement), so the sdist is complete and no C is left
# beside the sources.
HERE = Path(__file__).parent
HEADERS = sorted(str(path.relative_to(HERE)) for path in (HERE / "dsp").glob("*.h"))

setup(
    ext_modules=[
        Extension(f"voxpipe.dsp._{name}", [f"dsp/{name}.pyx"], include_dirs=["dsp"], depends=HEADERS)
        for name in sorted(path.stem for path in (HERE / "dsp").glob("*.pyx"))
    ],
    options={"build_ext": {"cython_c_in_temp": True}},
)
