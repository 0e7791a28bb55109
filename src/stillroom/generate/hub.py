"""Models of the Hugging Face hub, fetched once into its cache."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of whichever HTTP library the hub's own uses
    RepositoryNotFoundError,
)

from stillroom.base.errors import ModelError

FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer*", "README.md"]


def fetch_model(name: str) -> Path:
    """The folder of the model `owner/name`.

    Raises ModelError: for what is no such name, for a model that the hub does not have or does not give to everybody,
    and where the hub cannot be reached.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
        raise ModelError(
            f"There is no model {name!r} here.", "Name a model's folder, or a model of the hub: owner/name."
        )
    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except GatedRepoError as error:
        raise ModelError(
            f"The hub gives the model {name} only to those who have accepted its terms.",
            "Accept them on the model's page, and set HF_TOKEN.",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"There is no model {name}: no folder here is called so, and the hub has none that everybody may read.",
            "Mend the name; for a private model set HF_TOKEN.",
        ) from error
    except HfHubHTTPError as error:
        raise ModelError(
            f"The hub answered {error.response.status_code} when it was asked for the model {name}.", "Try again later."
        ) from error
    except (OSError, HTTPError) as error:  # nobody answers, or the connection broke
        raise ModelError(
            f"There is no model {name} here, and the hub cannot be reached to fetch it.",
            "Name a model's folder, or run the same command where the hub can be reached.",
        ) from error
