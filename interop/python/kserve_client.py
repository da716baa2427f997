"""Asks one model through KServe's own clients and prints what came, a line of JSON for each way.

Usage: kserve_client.py HOST:PORT HOST_OF_SERVICE MODEL PROTOCOL...
"""

import asyncio
import json
import sys

import numpy
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

address, host, model, *protocols = sys.argv[1:]
rows = numpy.ones((1, 1), numpy.float32)


async def tell(way, act):
    try:
        print(json.dumps({"way": way, "value": await act()}), flush=True)
    except Exception as error:
        print(json.dumps({"way": way, "error": f"{type(error).__name__}: {error}"[:300]}), flush=True)


def request(binary=False):
    one = InferInput("input-0", list(rows.shape), "FP32")
    one.set_data_from_numpy(rows, binary_data=binary)
    return InferRequest(model, [one], request_id="1")


def first(response):
    return float(numpy.ravel(response.outputs[0].as_numpy())[0])


async def main():
    url, headers = f"http://{address}", {"Host": host}
    if "v1" in protocols:
        client = InferenceRESTClient(RESTConfig(protocol="v1"))

        async def predict():
            answer = await client.infer(url, {"instances": [[1.0]]}, model_name=model, headers=headers)
            return float(numpy.ravel(answer["predictions"])[0])

        await tell("KServe InferenceRESTClient V1: model ready", lambda: client.is_model_ready(url, model, headers))
        await tell("KServe InferenceRESTClient V1: predict", predict)
    if "v2" in protocols:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))

        async def infer(binary):
            return first(await client.infer(url, request(binary), model_name=model, headers=headers))

        await tell("KServe InferenceRESTClient V2: model ready", lambda: client.is_model_ready(url, model, headers))
        await tell("KServe InferenceRESTClient V2: infer, JSON", lambda: infer(False))
        await tell("KServe InferenceRESTClient V2: infer, binary", lambda: infer(True))
    if "grpc" in protocols:
        client = InferenceGRPCClient(address, channel_args=[("grpc.default_authority", host)])

        async def infer():
            return first(await client.infer(request()))

        await tell("KServe InferenceGRPCClient: model ready", lambda: client.is_model_ready(model))
        await tell("KServe InferenceGRPCClient: infer", infer)
        await client.close()


asyncio.run(main())
