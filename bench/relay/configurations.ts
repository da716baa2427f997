import type { ModelServerStub } from './subject.ts';

/** How each peer is set up: as its manual says for this use, nothing on that the work does not need. */

type Ports = Readonly<Record<'http' | 'grpc' | 'many' | 'uds', number>>;

export function nginxConfig(given: {
  readonly directory: string;
  readonly ports: Ports & Readonly<Record<'tls' | 'tlsgrpc', number>>;
  readonly server: ModelServerStub;
  readonly map: string;
}): string {
  const { directory, ports, server, map } = given;
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx.log error;

events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${directory}/nginx-body;
  proxy_temp_path ${directory}/nginx-proxy;
  fastcgi_temp_path ${directory}/nginx-fastcgi;
  uwsgi_temp_path ${directory}/nginx-uwsgi;
  scgi_temp_path ${directory}/nginx-scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  map_hash_max_size 65536;
  map_hash_bucket_size 128;
  map $uri $many { default ""; include ${map}; }
  upstream server { server 127.0.0.1:${server.port}; keepalive 128; keepalive_requests 1000000000; }
  upstream grpc { server 127.0.0.1:${server.port}; keepalive 128; keepalive_requests 1000000000; }
  upstream socket { server unix:${server.socketPath}; keepalive 128; keepalive_requests 1000000000; }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_request_buffering off;
  server { listen 127.0.0.1:${ports.http}; location / { proxy_pass http://server; } }
  server { listen 127.0.0.1:${ports.many}; location / { proxy_pass http://$many; } }
  server { listen 127.0.0.1:${ports.uds}; location / { proxy_pass http://socket; } }
  server {
    listen 127.0.0.1:${ports.grpc} http2;
    http2_max_concurrent_streams 128;
    location / { grpc_pass grpc://grpc; }
  }
  ssl_certificate ${server.certFile};
  ssl_certificate_key ${server.keyFile};
  server { listen 127.0.0.1:${ports.tls} ssl; location / { proxy_pass http://server; } }
  server {
    listen 127.0.0.1:${ports.tlsgrpc} ssl http2;
    http2_max_concurrent_streams 128;
    location / { grpc_pass grpc://grpc; }
  }
}`;
}

export function haproxyConfig(given: {
  readonly ports: Ports;
  readonly server: ModelServerStub;
  readonly map: string;
}): string {
  const { ports, server, map } = given;
  return `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend http
  bind 127.0.0.1:${ports.http}
  default_backend server
frontend many
  bind 127.0.0.1:${ports.many}
  use_backend %[path,map_str(${map},nowhere)]
frontend uds
  bind 127.0.0.1:${ports.uds}
  default_backend socket
frontend grpc
  bind 127.0.0.1:${ports.grpc} proto h2
  default_backend grpc
backend server
  server s 127.0.0.1:${server.port}
backend nowhere
  http-request deny status 404
backend socket
  server s unix@${server.socketPath}
backend grpc
  server s 127.0.0.1:${server.port} proto h2`;
}

export function envoyConfig(given: {
  readonly ports: Pick<Ports, 'http' | 'grpc'>;
  readonly server: ModelServerStub;
}): string {
  const { ports, server } = given;
  const listener = (name: string, port: number, codec: string) => ({
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'http',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: name,
              codec_type: codec,
              route_config: {
                virtual_hosts: [
                  {
                    name,
                    domains: ['*'],
                    routes: [{ match: { prefix: '/' }, route: { cluster: name, timeout: '0s' } }],
                  },
                ],
              },
              http_filters: [
                {
                  name: 'router',
                  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                },
              ],
            },
          },
        ],
      },
    ],
  });
  const cluster = (name: string, protocol: Record<string, unknown>) => ({
    name,
    connect_timeout: '5s',
    type: 'STATIC',
    circuit_breakers: { thresholds: [{ max_connections: 16384, max_pending_requests: 16384, max_requests: 16384 }] },
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: server.port } } } },
          ],
        },
      ],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: protocol,
      },
    },
  });
  // JSON is YAML too.
  return JSON.stringify({
    static_resources: {
      listeners: [listener('http', ports.http, 'HTTP1'), listener('grpc', ports.grpc, 'HTTP2')],
      clusters: [cluster('http', { http_protocol_options: {} }), cluster('grpc', { http2_protocol_options: {} })],
    },
  });
}
