"""Which model answers: what the deployment offers, and what admins set for everybody."""

from agent.config import Settings
from agent.store import Store, status

# Where the model that admins chose for everybody is kept, in the status table.
DEFAULT_MODEL = "default_model"


def offered(settings: Settings) -> tuple[str, ...]:
    """What `/model` offers: the configured model first, then OPENAI_MODELS."""
    return tuple(dict.fromkeys((settings.openai_model, *settings.openai_models)))


async def default_model(store: Store, settings: Settings) -> str:
    """The model for chats that chose none: what an admin set, while it is still on offer, else OPENAI_MODEL."""
    kept = (await store.run(status.entries)).get(DEFAULT_MODEL)
    name = kept.value if kept is not None else None
    return name if isinstance(name, str) and name in offered(settings) else settings.openai_model
