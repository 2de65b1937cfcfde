"""The compiled kernels, nothing else; all other metadata is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

# setuptools compiles the .pyx itself (Cython is a build requirement), so the sdist is complete and no C is left
# beside the sources.
HERE = Path(__file__).parent
HEADERS = sorted(str(path.relative_to(HERE)) for path in (HERE / "dsp").glob("*.h"))

# -O3 vectorises the inner loops on every compiler of ours. Products and sums stay separate operations
# (-ffp-contract=off), so that each machine computes the same bytes and a recorded call replays exactly.
COMPILE_ARGS = ["-O3", "-ffp-contract=off"]

setup(
    ext_modules=[
        Extension(
            f"voxpipe.dsp._{name}",
            [f"dsp/{name}.pyx"],
            include_dirs=["dsp"],
            depends=HEADERS,
            extra_compile_args=COMPILE_ARGS,
        )
        for name in sorted(path.stem for path in (HERE / "dsp").glob("*.pyx"))
    ],
    options={"build_ext": {"cython_c_in_temp": True}},
)
