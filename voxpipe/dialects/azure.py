"""OpenAI Realtime on Azure (dialect ``azure-openai``): the GA tables behind another door.

The URL is that of one's own resource, the model is the name of a deployment, and the key has a header of its own.
``session.transcription.model`` is a deployment, too; ``whisper-1`` was seen to work without one.
"""

from __future__ import annotations

import attrs

from voxpipe.dialects.openai import ADVICE, OPENAI

AZURE_OPENAI = attrs.evolve(
    OPENAI,
    name="azure-openai",
    url="",
    url_example="wss://RESOURCE.openai.azure.com/openai/v1/realtime",
    headers={"api-key": "{api_key}"},
    default_model="",
    api_key_env="AZURE_OPENAI_API_KEY",
    advice={
        **ADVICE,
        "HTTP 401": "no key of this resource was sent: set provider.api_key or AZURE_OPENAI_API_KEY",
        "HTTP 404": "there is no such resource or deployment: check provider.url and provider.model",
        "DeploymentNotFound": "there is no such deployment: check provider.model and session.transcription.model",
        "OperationNotSupported": "the deployment is of a model without Realtime: check provider.model",
    },
)
