"""The paper's figures for comparison (arXiv 2207.00422), as printed there: in percent, NIST too."""

TABLE_2_COLUMNS = ("BLEU-1", "METEOR", "NIST", "Distinct-1", "Distinct-2", "CLIP-Align", "CLIP-Score", "BERTScore")
_TABLE_2: dict[str, tuple[float | None, ...]] = {
    "ground truth": (None, None, None, 6.06, 43.23, 90.47, 28.41, None),
    "ST": (8.24, 3.41, 28.08, 2.74, 17.41, 80.84, 24.31, 85.20),
    "R2Gen": (6.47, 3.10, 36.55, 3.23, 22.45, 82.07, 24.28, 85.89),
    "Ref2Seq": (7.09, 3.80, 30.78, 0.92, 5.89, 73.51, 23.83, 84.71),
    "PETER": (8.89, 3.28, 34.45, 0.38, 1.27, 72.70, 23.27, 86.94),
    "img": (9.92, 3.64, 37.35, 3.37, 26.37, 84.78, 24.68, 88.03),
    "img+text": (10.40, 3.83, 50.64, 3.58, 28.58, 85.31, 24.50, 88.23),
}
TABLE_2: dict[str, dict[str, float]] = {
    row: {name: value for name, value in zip(TABLE_2_COLUMNS, values, strict=True) if value is not None}
    for row, values in _TABLE_2.items()
}

TABLE_3_COLUMNS = ("Prec@3", "Recall@3", "F1@3", "Div@3")
_TABLE_3: dict[str, tuple[float, ...]] = {
    "random": (4.87, 6.14, 5.43, 30.24),
    "img": (25.21, 34.05, 28.97, 17.12),
    "text": (15.28, 20.58, 17.54, 18.68),
    "img+text": (25.21, 34.37, 29.09, 17.07),
}
TABLE_3: dict[str, dict[str, float]] = {
    row: dict(zip(TABLE_3_COLUMNS, values, strict=True)) for row, values in _TABLE_3.items()
}

TABLE_4_COLUMNS = ("BLEU-1", "Distinct-2", "CLIP-Align")
_TABLE_4: dict[str, tuple[float, ...]] = {
    "baseline": (7.96, 25.90, 82.50),
    "img CL + text CL": (9.72, 27.58, 84.03),
    "CCL + text CL": (10.19, 28.10, 85.12),
    "img CL + PCL": (9.96, 28.32, 84.15),
    "PC²L": (10.40, 28.58, 85.31),
}
TABLE_4: dict[str, dict[str, float]] = {
    row: dict(zip(TABLE_4_COLUMNS, values, strict=True)) for row, values in _TABLE_4.items()
}

TABLE_5_COLUMNS = ("BLEU-1", "Distinct-1", "Distinct-2")
_TABLE_5: dict[str, tuple[float, ...]] = {
    "Img Random": (5.21, 0.23, 5.08),
    "Text GPT-2": (4.81, 3.43, 19.27),
    "Img GPT-2": (7.59, 4.05, 29.41),
    "Img GPT-2 + FT": (7.10, 4.32, 30.82),
}
TABLE_5: dict[str, dict[str, float]] = {
    row: dict(zip(TABLE_5_COLUMNS, values, strict=True)) for row, values in _TABLE_5.items()
}

TABLE_1_COLUMNS = ("images", "reviews", "users", "businesses", "average_words")
TABLE_1: dict[str, dict[str, float]] = {
    "raw": dict(zip(TABLE_1_COLUMNS, (4435565, 1771160, 1010511, 65113, 36.26), strict=True)),
    "s1": dict(zip(TABLE_1_COLUMNS, (1722296, 370563, 119086, 48330, 45.48), strict=True)),
    "s2": dict(zip(TABLE_1_COLUMNS, (203433, 108888, 36996, 30831, 24.32), strict=True)),
}
CLASSIFIER = {"auc": 0.97, "f1": 0.71}

TABLE_6_COLUMNS = ("expressiveness", "visual alignment")
_TABLE_6: dict[str, tuple[float, ...]] = {"Ref2Seq": (3.72, 3.65), "PC²L": (4.25, 4.10)}  # Likert, 1 to 5
TABLE_6: dict[str, dict[str, float]] = {
    row: dict(zip(TABLE_6_COLUMNS, values, strict=True)) for row, values in _TABLE_6.items()
}
