"""Asks one model through tritonclient and prints what came, a line of JSON for each way.

Usage: triton_client.py HOST:PORT HOST_OF_SERVICE MODEL NAME_OF_ITS_OUTPUT
"""

import json
import sys

import numpy
import tritonclient.grpc
import tritonclient.http

address, host, model = sys.argv[1:4]
rows = numpy.ones((1, 1), numpy.float32)


def tell(way, act):
    try:
        print(json.dumps({"way": way, "value": act()}), flush=True)
    except Exception as error:
        print(json.dumps({"way": way, "error": f"{type(error).__name__}: {error}"[:300]}), flush=True)


def tensor(module, **options):
    one = module.InferInput("input-0", rows.shape, "FP32")
    one.set_data_from_numpy(rows, **options)
    return one


def first(result):
    name = result.get_response()["outputs"][0]["name"]
    return float(result.as_numpy(name).ravel()[0])


def first_grpc(result):
    return float(result.as_numpy(result.get_response().outputs[0].name).ravel()[0])


# The library takes the Host from the address: the service is named by the path prefix of the router instead.
namespace, service = "default", host.split(".")[0].removesuffix("-default")
over_http = tritonclient.http.InferenceServerClient(f"{address}/serving/{namespace}/{service}")
over_grpc = tritonclient.grpc.InferenceServerClient(address, channel_args=[("grpc.default_authority", host)])

typed = {"content-type": "application/json"}
tell("tritonclient HTTP: model ready", lambda: over_http.is_model_ready(model))
tell("tritonclient HTTP: metadata", lambda: over_http.get_model_metadata(model)["name"] == model)
tell("tritonclient HTTP: infer, binary", lambda: first(over_http.infer(model, [tensor(tritonclient.http)])))
tell(
    "tritonclient HTTP: infer, JSON",
    lambda: first(
        over_http.infer(
            model,
            [tensor(tritonclient.http, binary_data=False)],
            outputs=[tritonclient.http.InferRequestedOutput(sys.argv[4], binary_data=False)],
        )
    ),
)
tell("tritonclient gRPC: model ready", lambda: over_grpc.is_model_ready(model))
tell("tritonclient gRPC: metadata", lambda: over_grpc.get_model_metadata(model).name == model)
tell("tritonclient gRPC: infer", lambda: first_grpc(over_grpc.infer(model, [tensor(tritonclient.grpc)])))
