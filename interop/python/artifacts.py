"""Writes small models that answer a number of their own to every input of one feature.

Usage: artifacts.py FRAMEWORK DIRECTORY FIRST COUNT

Makes DIRECTORY/<n>/ for each n from FIRST on, each a real model as its library saves it, and DIRECTORY/corrupt/, which has the right
name and no model in it.
"""

import pathlib
import sys

ROWS = 8

TRITON_MODEL = """\
import json
import pathlib

import numpy
import triton_python_backend_utils as triton


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "input-0", "data_type": "TYPE_FP32", "dims": [-1, 1]})
        config.add_output({"name": "output-0", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(0)
        return config

    def initialize(self, args):
        path = pathlib.Path(args["model_repository"], args["model_version"], "value.json")
        self.value = json.loads(path.read_text())["value"]

    def execute(self, requests):
        return [self.answer(triton.get_input_tensor_by_name(each, "input-0").as_numpy()) for each in requests]

    def answer(self, rows):
        values = numpy.full(len(rows), self.value, numpy.float32)
        return triton.InferenceResponse([triton.Tensor("output-0", values)])
"""


def sklearn_writer():
    import joblib
    import numpy
    from sklearn.tree import DecisionTreeRegressor

    features = numpy.arange(ROWS, dtype=numpy.float32).reshape(-1, 1)

    def write(directory, value):
        model = DecisionTreeRegressor().fit(features, numpy.full(ROWS, float(value)))
        joblib.dump(model, directory / "model.joblib")

    return write, "model.joblib"


def xgboost_writer():
    import numpy
    import xgboost

    features = numpy.arange(ROWS, dtype=numpy.float32).reshape(-1, 1)

    def write(directory, value):
        data = xgboost.DMatrix(features, label=numpy.full(ROWS, float(value)))
        model = xgboost.train({"base_score": value, "nthread": 1}, data, num_boost_round=1)
        model.save_model(directory / "model.ubj")

    return write, "model.ubj"


def lightgbm_writer():
    import lightgbm
    import numpy

    features = numpy.arange(ROWS, dtype=numpy.float32).reshape(-1, 1)
    parameters = {"verbosity": -1, "min_data_in_leaf": 1, "min_data_in_bin": 1, "num_threads": 1}

    def write(directory, value):
        data = lightgbm.Dataset(features, label=numpy.full(ROWS, float(value)))
        model = lightgbm.train(parameters, data, num_boost_round=1)
        model.save_model(directory / "model.txt")

    return write, "model.txt"


def triton_writer():
    def write(directory, value):
        (directory / "model.py").write_text(TRITON_MODEL)
        (directory / "value.json").write_text('{"value": %d}' % value)

    return write, "model.py"


WRITERS = {
    "sklearn": sklearn_writer,
    "xgboost": xgboost_writer,
    "lightgbm": lightgbm_writer,
    "triton": triton_writer,
}


def main(framework, directory, first, count):
    write, file = WRITERS[framework]()
    root = pathlib.Path(directory)
    for value in range(int(first), int(first) + int(count)):
        target = root / str(value)
        target.mkdir(parents=True, exist_ok=True)
        write(target, value)
    corrupt = root / "corrupt"
    corrupt.mkdir(parents=True, exist_ok=True)
    (corrupt / file).write_text("this is no model\n")


main(*sys.argv[1:])
