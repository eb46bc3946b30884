"""What is known of a training across sites, for people."""

from collections.abc import Mapping

from bonexray.federate.plan import Plan
from bonexray.federate.rounds import FederatedHead

LIMITS = (
    "The weights of each site were seen by the server: there was no secure aggregation and no differential privacy. "
    "The model has not been scored: score it on images of your own with `bonexray external`. "
    "Research software, not for diagnosis."
)


def facts_of(head: FederatedHead, plan: Plan, sites: list[str]) -> dict[str, object]:
    """Return what MLflow records of the training: no score and no class counts of a single site."""
    facts = {
        "strategy": plan.strategy,
        "rounds": plan.rounds,
        "local_steps": plan.local_steps,
        "proximal_mu": plan.proximal_mu,
        "sites": len(sites),
        "training_images": head.images,
        "refused_answers": head.refused,
        "penalty": head.strength,
    }
    last = [loss for loss in head.log_losses if loss == loss]
    return {**facts, "val_log_loss": last[-1]}


def page_of(recipe: Mapping[str, object], facts: Mapping[str, object]) -> str:
    """Return the model card in Markdown.

    Args:
        recipe: of the model.
        facts: see `facts_of`.
    """
    rows = [f"- {name.replace('_', ' ')}: {value:g}" for name, value in facts.items() if isinstance(value, int | float)]
    head = f"# {recipe['model']}, trained by {facts['sites']} sites together ({facts['strategy']})"
    return "\n".join([head, "", *rows, f"- classes: {', '.join(recipe['classes'])}", "", LIMITS, ""])
