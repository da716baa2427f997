"""Trains the example models and records what the native libraries answer for a few rows.

    python3.11 -m venv /tmp/train && /tmp/train/bin/pip install -r requirements.txt
    PYTHONHASHSEED=0 OMP_NUM_THREADS=1 /tmp/train/bin/python train.py

Everything is deterministic: fixed seeds, one thread, data sets that scikit-learn ships.
"""

import json
import math
import pathlib

import lightgbm
import numpy as np
import xgboost
from skl2onnx import to_onnx
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = pathlib.Path(__file__).parent
SEED = 7
ROWS = [0, 40, 75, 100, 120, 149]


def place(model, file):
    directory = HERE / "models" / model
    directory.mkdir(parents=True, exist_ok=True)
    return directory / file


def plain(value):
    """JSON has no NaN: a missing value is null."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def tensor(name, datatype, array):
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": plain(array.ravel().tolist())}


def record(model, rows, input_name, datatype, predictions, outputs):
    """`predictions` is the V1 answer, `outputs` are the V2 tensors."""
    case = {
        "request": {
            "v1": {"instances": plain(rows.tolist())},
            "v2": {"inputs": [tensor(input_name, datatype, rows)]},
        },
        "response": {
            "v1": {"predictions": predictions},
            "v2": {"model_name": model, "model_version": "1", "outputs": outputs},
        },
        "toleranceRelative": 1e-5,
    }
    path = HERE / "expected" / f"{model}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(case, indent=1, allow_nan=False) + "\n")


def with_holes(rows):
    """The same rows with some values missing, the first row left whole."""
    rows = rows.copy()
    for index in range(1, len(rows)):
        rows[index, index % rows.shape[1]] = np.nan
        rows[index, (3 * index) % rows.shape[1]] = np.nan
    return rows


def onnx_classifier(model, data, estimator):
    features = data.data.astype(np.float32)
    estimator.fit(features, data.target)
    graph = to_onnx(estimator, features[:1], options={"zipmap": False}, target_opset=17)
    place(model, "model.onnx").write_bytes(graph.SerializeToString())
    rows = features[ROWS]
    labels = estimator.predict(rows).astype(np.int64)
    probabilities = estimator.predict_proba(rows).astype(np.float32)
    predictions = [
        {"label": int(label), "probabilities": row.tolist()} for label, row in zip(labels, probabilities, strict=True)
    ]
    outputs = [tensor("label", "INT64", labels), tensor("probabilities", "FP32", probabilities)]
    record(model, rows, "X", "FP32", predictions, outputs)


def xgboost_model(model, data, file, rounds, parameters):
    features = data.data.astype(np.float32)
    common = {"seed": SEED, "nthread": 1, "tree_method": "hist", "max_depth": 4, "eta": 0.3}
    training = xgboost.DMatrix(with_holes(features), label=data.target)
    booster = xgboost.train(common | parameters, training, num_boost_round=rounds)
    booster.save_model(place(model, file))
    rows = with_holes(features[ROWS])
    result = booster.predict(xgboost.DMatrix(rows))
    record(model, rows, "input-0", "FP32", result.tolist(), [tensor("output-0", "FP32", result)])


def lightgbm_model(model, data, rounds, parameters):
    features = data.data.astype(np.float64)
    common = {"seed": SEED, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbose": -1, "num_leaves": 15}
    training = lightgbm.Dataset(with_holes(features), label=data.target)
    booster = lightgbm.train(common | parameters, training, num_boost_round=rounds)
    booster.save_model(place(model, "model.txt"))
    rows = with_holes(features[ROWS])
    result = booster.predict(rows)
    record(model, rows, "input-0", "FP64", result.tolist(), [tensor("output-0", "FP64", result)])


iris, wine, digits = datasets.load_iris(), datasets.load_wine(), datasets.load_digits()
diabetes, cancer = datasets.load_diabetes(), datasets.load_breast_cancer()

onnx_classifier("iris-onnx", iris, LogisticRegression(max_iter=1000, random_state=SEED))
onnx_classifier("wine-onnx", wine, RandomForestClassifier(n_estimators=20, max_depth=5, random_state=SEED, n_jobs=1))
onnx_classifier(
    "digits-onnx",
    digits,
    make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=400, random_state=SEED)),
)
xgboost_model("diabetes-xgboost", diabetes, "model.json", 30, {"objective": "reg:squarederror"})
xgboost_model("cancer-xgboost", cancer, "model.ubj", 40, {"objective": "binary:logistic"})
xgboost_model("wine-xgboost", wine, "model.json", 15, {"objective": "multi:softprob", "num_class": 3})
lightgbm_model("cancer-lightgbm", cancer, 40, {"objective": "binary"})
lightgbm_model("diabetes-lightgbm", diabetes, 40, {"objective": "regression"})
lightgbm_model("iris-lightgbm", iris, 20, {"objective": "multiclass", "num_class": 3})
