# All images for both platforms: `node tools/images.ts --stage-only && docker buildx bake -f deploy/docker/docker-bake.hcl --push`.
variable "REGISTRY" { default = "roundhouse" }
variable "TAG" { default = "0.1.0" }
variable "BASE" { default = "gcr.io/distroless/nodejs24-debian12:nonroot" }

group "default" {
  targets = ["image"]
}

target "image" {
  name       = app
  matrix     = { app = ["controller", "router", "agent", "model-server"] }
  context    = ".toolchain/images/${app}"
  dockerfile = "../../../deploy/docker/${app}.Dockerfile"
  args       = { BASE = BASE }
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${REGISTRY}/${app}:${TAG}"]
}
