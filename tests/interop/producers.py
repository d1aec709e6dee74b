"""The producers: a program with each official SDK, which publishes the events of a plan."""

import sys
from typing import Final

from interop.programs import BUILD, HERE, Program

PRODUCERS: Final = (
    Program(
        "javascript",
        tools={"node": "nodejs", "npm": "npm"},
        copied=("package.json", "package-lock.json", "produce.js"),
        build=[["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]],
        run=["node", "produce.js"],
    ),
    Program(
        "go",
        tools={"go": "golang-go"},
        copied=("go.mod", "go.sum", "main.go"),
        build=[["go", "build", "-o", "produce", "."]],
        run=["./produce"],
    ),
    Program(
        "java",
        tools={
            "java": "openjdk-17-jdk-headless",
            "javac": "openjdk-17-jdk-headless",
            "mvn": "maven",
        },
        build=[
            [
                *("mvn", "--batch-mode", "--quiet", "--file", str(HERE / "java" / "pom.xml")),
                *(f"-Dbuilt={BUILD / 'java'}", "compile", "dependency:copy-dependencies"),
            ]
        ],
        run=["java", "-cp", "classes:lib/*", "dev.busbar.interop.Produce"],
    ),
    Program(
        "python",
        tools={},
        build=[],
        run=[sys.executable, str(HERE / "python" / "produce.py")],
    ),
)
