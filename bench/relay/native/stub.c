/* A model server that answers at once: V2 over HTTP/1.1 and over gRPC on one TCP port and, where named, a unix socket. It takes
 * models with the repository extension and lists them, since an agent looks. It reads framing, no header tables, no messages.
 * stub PORT [SOCKET] */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ = 256 * 1024, HEAD = 16 * 1024, WINDOW = 1024 * 1024, SLOTS = 4096 };

static const char prediction[] =
    "{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"1\",\"outputs\":[{\"name\":\"predict\",\"shape\":[1],"
    "\"datatype\":\"FP32\",\"data\":[1.5]}]}";

typedef struct {
  int fd, listener, http2;
  /* HTTP/1.1 */
  char head[HEAD];
  size_t have;
  long left;
  /* HTTP/2 */
  unsigned char frame[9], payload[256];
  unsigned frame_have, payload_have, length, greeted;
  unsigned unreported, *streams;
  int plain_headers, indexed;
} Conn;

static char input[READ], output[2 * 1024 * 1024];
static size_t out;
static int epoll;
static char *models[100000];
static int model_count;

static void add(const void *bytes, size_t size) {
  if (out + size > sizeof output) abort();
  memcpy(output + out, bytes, size);
  out += size;
}

static int flush(Conn *c) {
  for (size_t at = 0; at < out;) {
    ssize_t sent = send(c->fd, output + at, out - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return out = 0, -1;
    if (sent < 0) {
      struct pollfd wait = {.fd = c->fd, .events = POLLOUT};
      poll(&wait, 1, 1000);
    } else at += sent;
  }
  return out = 0, 0;
}

/* ---- HTTP/1.1 */

static void answer(const char *body, size_t size) {
  char head[256];
  int length = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: "
                        "%zu\r\ncontent-type: application/json\r\n\r\n",
                        size);
  add(head, length);
  add(body, size);
}

static void list_models(void) {
  char *text = malloc(model_count * 320 + 16), *at = text;
  *at++ = '[';
  for (int i = 0; i < model_count; i++)
    at += sprintf(at, "%s{\"name\":\"%s\",\"state\":\"READY\"}", i > 0 ? "," : "", models[i]);
  *at++ = ']';
  answer(text, at - text);
  free(text);
}

static void change_model(const char *name, size_t size, int loads) {
  for (int i = 0; i < model_count; i++) {
    if (strlen(models[i]) != size || memcmp(models[i], name, size) != 0) continue;
    if (!loads) models[i] = models[--model_count];
    return answer("{}", 2);
  }
  if (loads && model_count < 100000) models[model_count++] = strndup(name, size);
  answer("{}", 2);
}

static void respond(Conn *c) {
  static const char repository[] = "POST /v2/repository/";
  if (strncmp(c->head, repository, sizeof repository - 1) != 0)
    return strncmp(c->head, "POST", 4) == 0 ? answer(prediction, sizeof prediction - 1) : answer("{}", 2);
  const char *rest = c->head + sizeof repository - 1;
  if (strncmp(rest, "models/", 7) != 0) return list_models();
  const char *name = rest + 7, *slash = strchr(name, '/');
  if (slash != NULL) change_model(name, slash - name, slash[1] == 'l');
}

/* Returns -1 when the connection is of no use any more. */
static int http1(Conn *c, char *at, char *end) {
  while (at < end) {
    if (c->left > 0) {
      long size = c->left < end - at ? c->left : end - at;
      at += size;
      if ((c->left -= size) == 0) respond(c);
      continue;
    }
    size_t size = end - at, room = HEAD - 1 - c->have, before = c->have;
    if (size > room) size = room;
    memcpy(c->head + before, at, size);
    c->have += size;
    size_t from = before > 3 ? before - 3 : 0;
    char *stop = memmem(c->head + from, c->have - from, "\r\n\r\n", 4);
    if (stop == NULL) {
      if (c->have == HEAD - 1) return -1;
      at += size;
      continue;
    }
    at += stop + 4 - c->head - before;
    *stop = 0;
    c->have = 0;
    if (strcasestr(c->head, "\r\ntransfer-encoding:") != NULL) return -1; /* nobody here sends that */
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->left = length == NULL ? 0 : atol(length + 17);
    if (c->left == 0) respond(c);
  }
  return 0;
}

/* ---- HTTP/2 */

static void frame(unsigned size, int type, int flags, unsigned id) {
  unsigned char head[9] = {size >> 16, size >> 8, size, type, flags, id >> 24, id >> 16, id >> 8, id};
  add(head, 9);
}

static void window_update(unsigned id, unsigned size) {
  unsigned char payload[4] = {size >> 24, size >> 16, size >> 8, size};
  frame(4, 8, 0, id);
  add(payload, 4);
}

static void hello(void) {
  unsigned char window[6] = {0, 4, WINDOW >> 24, (WINDOW >> 16) & 255, (WINDOW >> 8) & 255, WINDOW & 255};
  frame(6, 4, 0, 0);
  add(window, 6);
  window_update(0, 16 * WINDOW - 65535);
}

/* As gRPC's servers do: both fields go into the header table once and are referred to from then on. */
static void grpc_answer(Conn *c, unsigned id) {
  static const char type[] = "application/grpc", status[] = "grpc-status";
  static unsigned char message[56] = {0, 0, 0, 0, 51, 10, 1, 'm', 42, 46};
  int brief = c->indexed && !c->plain_headers;
  char block[64];
  int size = 0;
  block[size++] = (char)0x88;
  if (brief) block[size++] = (char)(0x80 | 63);
  else {
    block[size++] = c->plain_headers ? 0x0f : 0x5f;
    if (c->plain_headers) block[size++] = 0x10;
    block[size++] = sizeof type - 1;
    memcpy(block + size, type, sizeof type - 1);
    size += sizeof type - 1;
  }
  frame(size, 1, 4, id);
  add(block, size);
  frame(sizeof message, 0, 0, id);
  add(message, sizeof message);
  size = 0;
  if (brief) block[size++] = (char)(0x80 | 62);
  else {
    block[size++] = c->plain_headers ? 0 : 0x40;
    block[size++] = sizeof status - 1;
    memcpy(block + size, status, sizeof status - 1);
    size += sizeof status - 1;
    block[size++] = 1;
    block[size++] = '0';
  }
  c->indexed = 1;
  frame(size, 1, 5, id);
  add(block, size);
}

static void end_of_frame(Conn *c, int type, int flags, unsigned id) {
  if (type == 4 && !(flags & 1)) {
    for (unsigned i = 0; i + 6 <= c->payload_have; i += 6) {
      unsigned char *s = c->payload + i;
      if (s[0] == 0 && s[1] == 1 && s[2] == 0 && s[3] == 0 && s[4] < 16) c->plain_headers = 1;
    }
    frame(0, 4, 1, 0);
  } else if (type == 6 && !(flags & 1)) {
    frame(8, 6, 1, 0);
    add(c->payload, 8);
  }
  if (type == 0) {
    unsigned *stream = &c->streams[(id >> 1) % SLOTS];
    *stream += c->length;
    c->unreported += c->length;
    if (c->unreported >= 8 * WINDOW) window_update(0, c->unreported), c->unreported = 0;
    if (flags & 1) *stream = 0;
    else if (*stream >= WINDOW / 2) window_update(id, *stream), *stream = 0;
  }
  if ((type == 0 || type == 1) && (flags & 1)) grpc_answer(c, id);
}

static int http2(Conn *c, char *at, char *end) {
  while (at < end) {
    if (c->greeted < 24) {
      c->greeted++, at++;
      continue;
    }
    if (c->frame_have < 9) {
      c->frame[c->frame_have++] = *at++;
      if (c->frame_have < 9) continue;
      c->length = c->frame[0] << 16 | c->frame[1] << 8 | c->frame[2];
      c->payload_have = 0;
      c->left = c->length;
    } 
    long size = c->left < end - at ? c->left : end - at;
    for (long i = 0; c->frame[3] != 0 && i < size && c->payload_have < sizeof c->payload; i++)
      c->payload[c->payload_have++] = at[i];
    at += size;
    c->left -= size;
    if (c->left > 0) break;
    c->frame_have = 0;
    unsigned char *f = c->frame;
    end_of_frame(c, f[3], f[4], (f[5] & 127u) << 24 | f[6] << 16 | f[7] << 8 | f[8]);
    if (out > sizeof output / 2 && flush(c) < 0) return -1;
  }
  return 0;
}

/* ---- connections */

static void close_conn(Conn *c) {
  close(c->fd);
  free(c->streams);
  free(c);
}

static void readable(Conn *c) {
  ssize_t size = recv(c->fd, input, READ, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return close_conn(c);
  if (!c->http2 && c->have == 0 && c->left == 0 && size >= 3 && memcmp(input, "PRI", 3) == 0) {
    c->http2 = 1;
    c->streams = calloc(SLOTS, sizeof *c->streams);
    hello();
  }
  int status = c->http2 ? http2(c, input, input + size) : http1(c, input, input + size);
  if (flush(c) < 0 || status < 0) close_conn(c);
}

static void watch(int fd, int listener) {
  Conn *c = calloc(1, sizeof *c);
  c->fd = fd;
  c->listener = listener;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void listen_at(struct sockaddr *address, socklen_t size) {
  int fd = socket(address->sa_family, SOCK_STREAM, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address, size) != 0 || listen(fd, 4096) != 0) exit(1);
  watch(fd, 1);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(0);
  struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listen_at((struct sockaddr *)&tcp, sizeof tcp);
  if (argc > 2) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    strncpy(local.sun_path, argv[2], sizeof local.sun_path - 1);
    unlink(argv[2]);
    listen_at((struct sockaddr *)&local, sizeof local);
    chmod(argv[2], 0777); /* nginx's workers are somebody else */
  }
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      Conn *c = events[i].data.ptr;
      if (!c->listener) {
        readable(c);
        continue;
      }
      int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK), on = 1;
      if (fd < 0) continue;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(fd, 0);
    }
  }
}
