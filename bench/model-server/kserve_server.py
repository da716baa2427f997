"""KServe's model server with the smallest model class that serves an XGBoost or a LightGBM file: its own are not on PyPI."""

import argparse
import pathlib

import kserve
import lightgbm
import xgboost
from kserve.model_repository import ModelRepository
from kserve.utils.utils import get_predict_input, get_predict_response


def read(path):
    if path.suffix == ".txt":
        return lightgbm.Booster({"nthread": 1}, model_file=str(path)).predict
    booster = xgboost.Booster({"nthread": 1}, model_file=str(path))
    return lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=1))


class FileModel(kserve.Model):
    def __init__(self, name, directory):
        super().__init__(name)
        self.answer = read(next(path for path in pathlib.Path(directory).iterdir() if path.stem == "model"))
        self.ready = True

    def predict(self, payload, headers=None):
        return get_predict_response(payload, self.answer(get_predict_input(payload)), self.name)


class FileRepository(ModelRepository):
    async def load(self, name):
        self.update(FileModel(name, pathlib.Path(self.models_dir, name)))
        return True


parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
parser.add_argument("--model_dir", required=True)
args, _ = parser.parse_known_args()
kserve.ModelServer(registered_models=FileRepository(args.model_dir)).start([])
