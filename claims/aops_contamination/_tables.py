"""Printed numbers of the paper's project site."""

from fractions import Fraction

from verify import Record

# model, accuracy in per cent on problems of 2023 and of 2024, relative drop in per cent, as printed
_RESULTS = """
7B-Qwen2.5-Math 34.80 33.40 4.02
72B-Qwen2-Math 37.84 36.15 4.45
72B-Qwen2.5-Math 42.36 40.45 4.51
72B-NuminaMath-CoT 25.59 24.14 5.68
20B-InternLM2-Math-Plus 17.78 16.03 9.83
16B-DeepSeekCoderV2 22.08 19.80 10.31
7B-Qwen2-Math 33.26 29.32 11.85
7B-NuminaMath-CoT 16.88 14.76 12.55
7B-DeepSeek-Math-RL 14.35 12.44 13.35
7B-Mathstral 15.25 13.00 14.76
7B-InternLM2-Math-Plus 16.26 13.64 16.16
27B-Gemma2 12.78 11.59 9.30
70B-Llama-3.1 22.02 19.34 12.16
8B-Llama-3.1 13.01 10.85 16.55
3B-Llama-3.2 12.67 10.32 18.51
9B-Gemma2 11.63 9.30 20.01
1B-Llama-3.2 6.32 4.83 23.62
"""
# model, accuracy in per cent in January ... December 2024, read off a published figure to about one point
_MONTHS = """
R1-Distill-Qwen-32B 58.3 54.9 61.7 58.0 50.1 53.5 51.2 48.2 49.5 49.6 36.5 46.0
R1-Distill-Qwen-7B 54.0 49.2 57.7 50.2 48.7 45.5 47.2 44.0 47.9 45.7 34.0 40.6
Gemini-2.0-flash-thinking 56.6 50.4 60.0 52.7 48.9 48.4 48.6 46.7 51.3 50.3 41.1 44.1
QwQ-32B-Preview 50.0 48.0 55.4 51.1 44.8 45.8 46.3 39.0 45.7 47.2 39.2 45.3
R1-Distill-Qwen-1.5B 40.2 38.5 46.4 40.3 36.4 30.9 38.7 33.2 36.5 31.0 19.4 31.8
Qwen2.5-Math-1.5B 30.4 30.2 34.3 34.7 28.0 24.6 32.5 25.9 27.5 23.4 20.6 25.0
DeepSeek-Math-7B-instruct 8.5 10.9 13.2 11.4 9.6 7.6 10.2 9.5 9.9 10.8 10.7 10.9
"""


def results():
    """Record(models, before, after, drop): names, and exact fractions in per cent."""
    rows = [line.split() for line in _RESULTS.split("\n") if line]
    columns = ([Fraction(row[i]) for row in rows] for i in (1, 2, 3))
    return Record(
        models=[row[0] for row in rows], **dict(zip(("before", "after", "drop"), columns, strict=True))
    )


def months():
    """Record(models, accuracies): names, and for each twelve exact fractions in per cent."""
    rows = [line.split() for line in _MONTHS.split("\n") if line]
    return Record(
        models=[row[0] for row in rows], accuracies=[[Fraction(x) for x in row[1:]] for row in rows]
    )
