"""Trains the two models that the servers are compared on, and records what each answers for one row.

Run it with the requirements of examples/train.py:

    OMP_NUM_THREADS=1 /tmp/train/bin/python make_models.py
"""

import json
import pathlib

import lightgbm
import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer

HERE = pathlib.Path(__file__).parent / "models"
HERE.mkdir(exist_ok=True)
TREES = 100
data = load_breast_cancer()
rows = data.data.astype(np.float32)
row = rows[:1]

booster = xgboost.train(
    {"objective": "binary:logistic", "max_depth": 6, "eta": 0.05, "seed": 7, "nthread": 1},
    xgboost.DMatrix(rows, label=data.target),
    num_boost_round=TREES,
)
booster.save_model(HERE / "xgboost.ubj")
trees = lightgbm.train(
    {"objective": "binary", "num_leaves": 31, "learning_rate": 0.05, "seed": 7, "num_threads": 1, "deterministic": True, "verbose": -1},
    lightgbm.Dataset(rows, label=data.target),
    num_boost_round=TREES,
)
trees.save_model(HERE / "lightgbm.txt")
expected = {
    "row": [float(value) for value in row[0]],
    "xgboost": float(booster.predict(xgboost.DMatrix(row))[0]),
    "lightgbm": float(trees.predict(row)[0]),
}
(HERE / "expected.json").write_text(json.dumps(expected) + "\n")
