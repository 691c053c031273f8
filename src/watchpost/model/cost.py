"""Why a model call has no price."""

from __future__ import annotations

from typing import Literal, get_args

UnpricedReason = Literal["no_model", "no_tokens", "contradiction", "no_price"]
"""In the order in which they are looked for.

`no_model`: the call names no model. `no_tokens`: input or output tokens were not reported, and half a price is a wrong price.
`contradiction`: the counts cannot be true: a part is greater than its whole, or a count is negative. `no_price`: no table has
a price for that model, from that provider, at that time.
"""

UNPRICED_REASONS: tuple[UnpricedReason, ...] = get_args(UnpricedReason)
