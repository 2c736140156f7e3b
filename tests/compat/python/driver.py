"""Does what a test says with the official Python client, whichever version it finds.

A line of JSON in, a line of JSON out. It is the program of somebody who uses the library, made
remote-controlled, so that one process serves a whole module of tests. A file parameter is text as
the library takes it (a path, a URL), or one of these:

    {"stream": PATH, "name": NAME}      an open file under another name
    {"result": N}                       all that conversion N gave
    {"file": [N, I]}                    one file of it
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import convertapi
import requests

Said = dict[str, Any]

results: list[Any] = []


def configure(said: Said) -> None:
    convertapi.base_uri = said["base_uri"]
    credentials = said["credentials"]
    if hasattr(convertapi, "api_credentials"):
        convertapi.api_credentials = credentials
        return
    convertapi.api_secret = credentials
    convertapi.api_token = said.get("token")
    convertapi.api_key = said.get("api_key")


def convert(said: Said) -> Said:
    parameters = {name: value_of(value) for name, value in said["with"].items()}
    result = convertapi.convert(
        said["to"], parameters, from_format=said.get("from"), timeout=said.get("timeout")
    )
    results.append(result)
    if "Files" not in result.response:
        return {"job": result.response["JobId"]}
    files = [{"name": one.filename, "size": one.size, "url": one.url} for one in result.files]
    return {"number": len(results) - 1, "cost": result.conversion_cost, "files": files}


def save(said: Said) -> list[str]:
    return results[said["number"]].save_files(said["folder"])


def read(said: Said) -> str:
    return results[said["number"]].file.io.getvalue().hex()


def user(_said: Said) -> Said:
    return convertapi.user()


def get(said: Said) -> Said:
    return convertapi.client.get(said["path"])


def value_of(value: Any) -> Any:
    if isinstance(value, list):
        return [value_of(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "stream" in value:
        return convertapi.UploadIO(Path(value["stream"]).open("rb"), value["name"])
    if "result" in value:
        return results[value["result"]]
    number, index = value["file"]
    return results[number].files[index]


def main() -> None:
    known: tuple[Callable[[Said], Any], ...] = (configure, convert, save, read, user, get)
    acts = {act.__name__: act for act in known}
    for line in sys.stdin:
        said = json.loads(line)
        try:
            answer = {"ok": acts[said["do"]](said)}
        except convertapi.ApiError as error:
            answer = {
                "error": str(error),
                "code": error.code,
                "invalid": error.invalid_parameters or {},
            }
        except requests.RequestException as error:
            answer = {"error": str(error), "code": None, "invalid": {}}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
