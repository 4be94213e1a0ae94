"""Token responses, and a token URL that sends them without a network."""

from __future__ import annotations

import asyncio

import msgspec
from yarl import URL

from evtransport.auth import Auth, Credential
from evtransport.http import Response

CLIENT_ID = "d\u00e9p\u00f4t"
SECRET = "s3cr3t-v4lue"
TOKEN_URL = URL("https://auth.example/token")


def token(value: str = "t0k3n-1", **members: object) -> Response:
    body = {"access_token": value, "token_type": "bearer", "expires_in": 3600, **members}
    return Response(200, {}, msgspec.json.encode(body))


class TokenServer:
    """Sender of token responses in order, each when the gate is open."""

    def __init__(self, *responses: Response | Exception) -> None:
        self.responses = list(responses)
        self.received: list[tuple[URL, str, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, url: URL, credential: Credential, form: bytes) -> Response:
        self.received.append((url, f"{credential.name}: {credential.value}", form))
        response = self.responses.pop(0)
        await self.gate.wait()
        await asyncio.sleep(0)
        if isinstance(response, Exception):
            raise response
        return response

    @property
    def requests(self) -> int:
        return len(self.received)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def header(auth: Auth, server: TokenServer) -> str:
    return (await auth.get_credential(server)).value
