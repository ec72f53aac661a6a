from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cof_agent.images.geometry import smart_resize

sides = st.integers(1, 6000)
sizes = st.tuples(sides, sides).filter(lambda size: max(size) / min(size) <= 200)


@given(sizes, st.sampled_from([28, 32]), st.integers(56**2, 200_000), st.integers(200_001, 16_000_000))
def test_smart_resize_equals_the_one_in_transformers(size: tuple[int, int], factor: int, low: int, high: int) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as theirs

    width, height = size
    ours = smart_resize(width, height, factor=factor, min_pixels=low, max_pixels=high)
    assert ours == theirs(height, width, factor=factor, min_pixels=low, max_pixels=high)[::-1]
