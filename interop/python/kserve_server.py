"""KServe's model server with a small model class of ours for each framework.

KServe's own classes are not on PyPI; its server, repository and protocols are. The classes here keep what others can notice of
upstream's: one file of a known ending at the top of the directory, every directory loaded when the server starts, and an error that
goes where upstream's goes.
"""

import argparse
import pathlib

import kserve
from kserve.errors import InferenceError, ModelMissingError
from kserve.model_repository import ModelRepository
from kserve.utils.utils import get_predict_input, get_predict_response


# Each library is imported with the server, as upstream's servers do, and only where it is used.
def sklearn_loader(threads):
    import joblib
    import sklearn.tree  # noqa: F401 what the models here are made of

    return lambda path: joblib.load(path).predict


def xgboost_loader(threads):
    import xgboost

    def load(path):
        booster = xgboost.Booster({"nthread": threads}, model_file=bytearray(path.read_bytes()))
        return lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=threads))

    return load


def lightgbm_loader(threads):
    import lightgbm

    return lambda path: lightgbm.Booster({"nthread": threads}, model_file=str(path)).predict


FRAMEWORKS = {
    "sklearn": (sklearn_loader, {".joblib", ".pkl", ".pickle"}),
    "xgboost": (xgboost_loader, {".bst", ".json", ".ubj"}),
    "lightgbm": (lightgbm_loader, {".bst"}),
}


class FileModel(kserve.Model):
    def __init__(self, name, directory, read, endings):
        super().__init__(name)
        self.directory = pathlib.Path(directory)
        self.read = read
        self.endings = endings
        self.ready = False

    def load(self):
        files = [path for path in self.directory.iterdir() if path.is_file() and path.suffix in self.endings]
        if not files:
            raise ModelMissingError(self.directory)
        if len(files) > 1:
            raise RuntimeError(f"more than one model file: {files}")
        self.answer = self.read(files[0])
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):
        try:
            return get_predict_response(payload, self.answer(get_predict_input(payload)), self.name)
        except Exception as error:
            raise InferenceError(str(error))


class FileRepository(ModelRepository):
    def __init__(self, directory, read, endings):
        super().__init__(directory)
        self.read = read
        self.endings = endings
        self.load_models()

    async def load(self, name):
        return self.load_model(name)

    def load_model(self, name):
        model = FileModel(name, pathlib.Path(self.models_dir, name), self.read, self.endings)
        if model.load():
            self.update(model)
        return model.ready


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--framework", choices=FRAMEWORKS, required=True)
    parser.add_argument("--model_dir", required=True)
    parser.add_argument("--nthread", type=int, default=1)
    args, _ = parser.parse_known_args()
    if args.configure_logging:
        kserve.logging.configure_logging(args.log_config_file)
    loader, endings = FRAMEWORKS[args.framework]
    repository = FileRepository(args.model_dir, loader(args.nthread), endings)
    kserve.ModelServer(registered_models=repository).start([])
