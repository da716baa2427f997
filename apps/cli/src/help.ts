/** What `--help` prints, by command; the first entry is for `roundhouse` itself. */
const texts: Readonly<Record<string, string>> = {
  '': `roundhouse: many models on a few shared model servers, on Kubernetes or on this machine

Usage: roundhouse COMMAND [OPTIONS]      (in a checkout: npm run -s roundhouse -- COMMAND [OPTIONS])

  up           start a local cluster with everything in it; the same as "npm start"
  status       what runs: services, replicas, models and their states
  get          list objects: services, models, runtimes, pods, events
  predict      send one request to a model and print the answer
  logs         what the agents say about a model, or a pod's log
  conformance  hold a model server, ours or not, against the rules of V1 and V2
  import       convert manifests of ModelMesh, Seldon Core 2 or KServe's services of one model
  down         stop the local cluster that runs in the data directory

Options of all commands:
  --data-dir DIR   where the local cluster keeps its state (default: .roundhouse in the checkout)
  -o json          output for programs
  -h, --help       help, also for one command: "roundhouse predict --help"
  --version        the version`,
  up: `Usage: npm start -- [OPTIONS]

Starts a local cluster: a Kubernetes API that kubectl can talk to, the controller, the router, a shared model server and the
example models. Runs until Ctrl-C; what was applied is there again at the next start.

  --port N         where predictions are served on 127.0.0.1 (default 8080; 0 picks a free port)
  --data-dir DIR   where everything is kept (default: .roundhouse in the checkout); the kubeconfig is DIR/kubeconfig
  --file-root DIR  a directory that models may be read from with file:// (may be repeated; the checkout is always one)
  --images FILE    JSON that says which programs of this machine stand for further images, such as a model server from pip; the
                   runtimes of these are installed too (docs/local-cluster.md)
  --api-group G    group of the kinds that are served: serving.kserve.io, or serving.roundhouse.dev as where KServe stays installed
                   (docs/migrate/beside-kserve.md); the other commands find it out
  --no-examples    do not apply the example models`,
  status: `Usage: roundhouse status [--data-dir DIR] [-o json]

Shows the services with their replicas, and each model with its state and the reason when it is not ready.
Exits with 1 when a model is not ready.`,
  get: `Usage: roundhouse get WHAT [NAME] [-n NAMESPACE] [--data-dir DIR] [-o json]

WHAT is services (isvc), models (tm), runtimes, pods, events, or any resource as kubectl names it. All namespaces are shown
unless -n names one. Example: roundhouse get models`,
  predict: `Usage: roundhouse predict MODEL [-d FILE|JSON|-] [--protocol v1|v2] [-n NAMESPACE] [--data-dir DIR] [-o json]

Sends one request through the router. Without -d an example model gets its example input. With -d the request is read from the
file, from standard input ("-") or is the JSON itself: V2 {"inputs": [...]}, V1 {"instances": [...]}.
Example: roundhouse predict iris-onnx`,
  logs: `Usage: roundhouse logs MODEL|POD [-c CONTAINER] [-f] [--tail N] [-n NAMESPACE] [--data-dir DIR]

For a model: the lines that every agent of its service wrote about it. For a pod: its log, container "agent" unless -c says
otherwise. Example: roundhouse logs iris-onnx`,
  conformance: `Usage: roundhouse conformance URL --model NAME [--grpc HOST:PORT] [--host NAME] [--protocols LIST] [-d FILE|JSON|-] [-o json]

Sends requests to a model server, right and wrong ones, and prints one line per rule: pass, fail or skip, what is expected, and the
place in the specification. A failure is shown with what was sent and what came. Exits with 1 when a rule fails. The model has to
be loaded; its inputs are made from its metadata.

  -m, --model NAME   the model to ask
  --grpc HOST:PORT   where gRPC is served (default: where the URL points)
  --host NAME        sent as the host, for a router that tells services by it
  --protocols LIST   of v1, v2, binary, grpc, stream, repository: these must be offered. Default: what the server offers, but not
                     "repository", whose rules unload the model and load it again
  -d FILE|JSON|-     a V2 request that the model takes, where its metadata does not say or zeros are no input for it
Example: roundhouse conformance http://127.0.0.1:8080 --host shared-default.example.com --model iris-onnx`,
  import: `Usage: roundhouse import FILE|- [--from modelmesh|seldon|kserve] [--memory QUANTITY] [--bucket NAME] [-o yaml|json]

Prints the manifests of FILE (YAML or JSON, "-" is standard input) as manifests of shared services, and on standard error every field
that has no counterpart, with the way out. Touches no cluster. Kinds it does not know are passed on as they came. Exits with 1 when an
object could not be converted; what could be is printed all the same.

  --from SYSTEM       Default: told by each object. modelmesh takes every InferenceService as one of ModelMesh, for where that is the
                      default mode. kserve moves services of one model, which work as they are, into shared services
  --memory QUANTITY   memory of a model whose manifest does not say (default 256Mi)
  --bucket NAME       the bucket of models whose storage names none, as ModelMesh keeps it in a Secret
  -o json             a List with the notes beside its items
Example: kubectl get isvc,predictors -A -o yaml | roundhouse import - > models.yaml`,
  down: `Usage: roundhouse down [--data-dir DIR] [-o json]

Stops the local cluster of the data directory and waits until all its processes are gone. Nothing applied is lost.`,
};

export function helpFor(topic: string | undefined): string {
  return texts[topic ?? ''] ?? texts[''] ?? '';
}
