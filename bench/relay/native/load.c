/* Load for the relay's benchmark, over HTTP/1.1 or gRPC: as fast as answers come, or at a steady rate, where latency counts from
 * the moment a request was due, so that a slow answer does not hide the requests that waited behind it.
 *   load KEY=VALUE ...   proto=h1|h2 port= conns= streams= seconds= rate= body= models= digits= host= trace=1 hold=1
 * Prints one line of JSON: requests, bad, seconds, and latency in microseconds. With hold=1 each connection asks once and then
 * stands idle until standard input ends; a line "held" says that all do. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ = 256 * 1024, TICK_NS = 250000, FIELDS = 6, TABLE = 4096, ANSWER = 56 };

typedef struct {
  unsigned id, got, busy;
  long left, window;
  uint64_t due;
} Stream;

typedef struct {
  int fd, armed, first;
  char *out;
  size_t size, at;
  /* HTTP/1.1 */
  char head[8192];
  size_t have;
  long left;
  int ok;
  uint64_t due;
  int busy;
  /* HTTP/2 */
  unsigned char frame[9], payload[64];
  unsigned frame_have, payload_have, next_id, received;
  long length, rest, window, initial;
  Stream *streams;
  int table[64], table_count, table_size;
} Conn;

static const char *host = "bench-default.example.com";
static int h2, port, conns = 64, streams = 1, models = 10, digits = 5, trace, hold;
static double seconds = 1, rate;
static size_t body = 200;
static Conn *all;
static int epoll, stopping;
static uint64_t start, sent, requests, bad, in_flight, max_in_flight;
static uint32_t *samples;
static size_t sample_count;
static char *message, input[READ];
static size_t message_size;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void put(Conn *c, const void *bytes, size_t size) {
  memcpy(c->out + c->size, bytes, size);
  c->size += size;
}

static void arm(Conn *c, int writes) {
  if (c->armed == writes) return;
  c->armed = writes;
  struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void pump_all(Conn *c);

static void flush(Conn *c) {
  for (pump_all(c); c->at < c->size; pump_all(c)) {
    ssize_t size = send(c->fd, c->out + c->at, c->size - c->at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return arm(c, 1);
    if (size < 0) break;
    c->at += size;
    if (c->at == c->size) c->size = c->at = 0;
  }
  c->size = c->at = 0;
  arm(c, 0);
}

static void done(uint64_t due, int good) {
  requests++;
  in_flight--;
  if (!good) bad++;
  else if (sample_count < 8000000) samples[sample_count++] = (now() - due) / 100;
}

/* ---- HTTP/1.1 */

static void ask1(Conn *c, uint64_t due) {
  char head[1024];
  int size = snprintf(head, sizeof head,
                      "POST /v2/models/model-%0*llu/infer HTTP/1.1\r\nHost: %s\r\nUser-Agent: python-httpx/0.28\r\nAccept: "
                      "*/*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nContent-Type: "
                      "application/json\r\nContent-Length: %zu\r\n\r\n",
                      digits, (unsigned long long)(sent++ % models), host, body);
  put(c, head, size);
  put(c, message, body);
  c->due = due;
  c->busy = 1;
  in_flight++;
  flush(c);
}

static void read1(Conn *c, char *at, char *end) {
  while (at < end) {
    if (c->left > 0) {
      long size = c->left < end - at ? c->left : end - at;
      at += size;
      c->left -= size;
    } else {
      size_t size = end - at, before = c->have;
      if (size > sizeof c->head - 1 - before) size = sizeof c->head - 1 - before;
      memcpy(c->head + before, at, size);
      c->have += size;
      size_t from = before > 3 ? before - 3 : 0;
      char *stop = memmem(c->head + from, c->have - from, "\r\n\r\n", 4);
      if (stop == NULL) return;
      at += stop + 4 - c->head - before;
      *stop = 0;
      c->have = 0;
      char *length = strcasestr(c->head, "\r\ncontent-length:");
      c->ok = strncmp(c->head + 8, " 200", 4) == 0 && length != NULL;
      c->left = length == NULL ? 0 : atol(length + 17);
    }
    if (c->left > 0 || !c->busy) continue;
    c->busy = 0;
    done(c->due, c->ok);
    if (rate == 0 && !stopping && !hold) ask1(c, now());
  }
}

/* ---- HTTP/2, as grpc-go speaks it: every field goes into the header table, and what changes pushes the rest out of it. */

static const char *field_names[FIELDS] = {":path", ":authority", "content-type", "user-agent", "te", "traceparent"};
static const int name_index[FIELDS] = {4, 1, 31, 58, 0, 0};
static const char *field_values[FIELDS] = {"/inference.GRPCInferenceService/ModelInfer", NULL, "application/grpc",
                                           "grpc-go/1.80.0", "trailers", NULL};

static void frame(Conn *c, unsigned size, int type, int flags, unsigned id) {
  unsigned char head[9] = {size >> 16, size >> 8, size, type, flags, id >> 24, id >> 16, id >> 8, id};
  put(c, head, 9);
}

static int field_size(int field) {
  size_t value = field == 5 ? 55 : strlen(field == 1 ? host : field_values[field]);
  return strlen(field_names[field]) + value + 32;
}

static unsigned char *text(unsigned char *at, const char *value) {
  size_t size = strlen(value);
  *at++ = size;
  memcpy(at, value, size);
  return at + size;
}

/* RFC 7541 appendix B, for the characters that a traceparent has. */
static unsigned char *huffman(unsigned char *at, const char *value) {
  static const unsigned char letters[] = {0x03, 0x23, 0x04, 0x24, 0x05, 0x25}, letter_bits[] = {5, 6, 5, 6, 5, 6};
  unsigned char *size = at++;
  unsigned bits = 0, count = 0;
  for (; *value; value++) {
    unsigned code, width = 6;
    if (*value == '-') code = 0x16;
    else if (*value <= '2') code = *value - '0', width = 5;
    else if (*value <= '9') code = 0x19 + *value - '3';
    else code = letters[*value - 'a'], width = letter_bits[*value - 'a'];
    bits = bits << width | code;
    for (count += width; count >= 8; count -= 8) *at++ = bits >> (count - 8);
  }
  if (count > 0) *at++ = bits << (8 - count) | (0xff >> count);
  *size = 0x80 | (at - size - 1);
  return at;
}

static unsigned char *encode(Conn *c, unsigned char *at, int field) {
  int place = 0;
  while (place < c->table_count && c->table[c->table_count - 1 - place] != field) place++;
  int known = place < c->table_count;
  if (known && field != 5) {
    *at++ = 0x80 | (62 + place);
    return at;
  }
  int index = known ? 62 + place : name_index[field];
  if (index < 63) *at++ = 0x40 | index;
  else *at++ = 0x40 | 63, *at++ = index - 63;
  if (index == 0) at = text(at, field_names[field]);
  if (field == 5) {
    char value[64];
    snprintf(value, sizeof value, "00-%016llx%016llx-%016llx-01", (unsigned long long)(sent * 0x9e3779b97f4a7c15ull),
             (unsigned long long)(sent * 0xbf58476d1ce4e5b9ull), (unsigned long long)(sent * 0x94d049bb133111ebull));
    at = huffman(at, value);
  } else at = text(at, field == 1 ? host : field_values[field]);
  for (c->table_size += field_size(field); c->table_size > TABLE; c->table_count--) {
    c->table_size -= field_size(c->table[0]);
    memmove(c->table, c->table + 1, (c->table_count - 1) * sizeof *c->table);
  }
  c->table[c->table_count++] = field;
  return at;
}

static void pump(Conn *c, Stream *s) {
  while (s->left > 0 && c->size < 512 * 1024) {
    long size = s->left < 16384 ? s->left : 16384;
    if (size > c->window) size = c->window;
    if (size > s->window) size = s->window;
    if (size <= 0) return;
    s->left -= size;
    s->window -= size;
    c->window -= size;
    frame(c, size, 0, s->left == 0, s->id);
    put(c, message + message_size - s->left - size, size);
  }
}

static void ask2(Conn *c, Stream *s, uint64_t due) {
  unsigned char block[512], *at = block;
  *at++ = 0x83;
  *at++ = 0x86;
  for (int field = 0; field < (trace ? 6 : 5); field++) at = encode(c, at, field);
  sent++;
  s->id = c->next_id;
  c->next_id += 2;
  s->busy = 1;
  s->got = 0;
  s->left = message_size;
  s->window = c->initial;
  s->due = due;
  in_flight++;
  frame(c, at - block, 1, 4, s->id);
  put(c, block, at - block);
  pump(c, s);
}

static void pump_all(Conn *c) {
  for (int i = 0; h2 && i < streams; i++) pump(c, &c->streams[i]);
}

static void update(Conn *c, unsigned id, unsigned size) {
  unsigned char payload[4] = {size >> 24, size >> 16, size >> 8, size};
  frame(c, 4, 8, 0, id);
  put(c, payload, 4);
}

static void finish(Conn *c, Stream *s, int good) {
  s->busy = 0;
  s->left = 0;
  done(s->due, good);
  if (rate == 0 && !stopping && !hold) ask2(c, s, now());
}

static unsigned long be32(const unsigned char *p) { return (unsigned long)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

static void on_frame(Conn *c) {
  unsigned char *f = c->frame;
  int type = f[3], flags = f[4];
  unsigned id = be32(f + 5) & 0x7fffffff;
  Stream *s = NULL;
  for (int i = 0; id != 0 && i < streams; i++)
    if (c->streams[i].busy && c->streams[i].id == id) s = &c->streams[i];
  if (type == 0) {
    if (s != NULL) s->got += c->length;
    if ((c->received += c->length) > 1 << 20) update(c, 0, c->received), c->received = 0;
  }
  if (type == 4 && !(flags & 1)) {
    for (unsigned i = 0; i + 6 <= c->payload_have; i += 6) {
      if (c->payload[i] != 0 || c->payload[i + 1] != 4) continue;
      long initial = be32(c->payload + i + 2);
      for (int n = 0; n < streams; n++) c->streams[n].window += initial - c->initial;
      c->initial = initial;
    }
    frame(c, 0, 4, 1, 0);
  }
  if (type == 6 && !(flags & 1)) frame(c, 8, 6, 1, 0), put(c, c->payload, 8);
  if (type == 8 && id == 0) c->window += be32(c->payload);
  if (type == 8 && s != NULL) s->window += be32(c->payload);
  if (s != NULL && (type == 3 || ((type == 0 || type == 1) && (flags & 1)))) finish(c, s, type != 3 && s->got == ANSWER);
}

static void read2(Conn *c, char *at, char *end) {
  while (at < end) {
    if (c->frame_have < 9) {
      c->frame[c->frame_have++] = *at++;
      if (c->frame_have < 9) continue;
      c->length = c->rest = c->frame[0] << 16 | c->frame[1] << 8 | c->frame[2];
      c->payload_have = 0;
    }
    long size = c->rest < end - at ? c->rest : end - at;
    for (long i = 0; c->frame[3] > 1 && i < size && c->payload_have < sizeof c->payload; i++)
      c->payload[c->payload_have++] = at[i];
    at += size;
    if ((c->rest -= size) > 0) break;
    c->frame_have = 0;
    on_frame(c);
  }
  flush(c);
}

/* ---- the run */

static void lost(Conn *c) {
  fprintf(stderr, "load: a connection broke\n");
  printf("{\"requests\":%llu,\"bad\":%llu,\"seconds\":1,\"p50\":0,\"p99\":0,\"p999\":0}\n", (unsigned long long)requests,
         (unsigned long long)bad + 1);
  (void)c;
  exit(0);
}

static void open_conn(Conn *c) {
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) perror("load: connect"), exit(1);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  c->out = malloc((hold ? 8192 : 1024 * 1024) + message_size);
  c->streams = calloc(streams, sizeof *c->streams);
  if (!h2) return;
  c->next_id = 1;
  c->window = c->initial = 65535;
  put(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  frame(c, 0, 4, 0, 0);
  update(c, 0, 1 << 24);
}

/* The next request that is due, on whatever is free; over HTTP/2 it is left to be flushed. A connection is filled before the next
 * has its turn, as it is when answers that came in a row are followed by requests. Returns whether there was room. */
static int ask_due(uint64_t due) {
  static int turn;
  for (int i = 0; i < conns; i++) {
    Conn *c = &all[turn];
    if (!h2 && !c->busy) return ask1(c, due), turn = (turn + 1) % conns, 1;
    for (int n = 0; h2 && n < streams; n++)
      if (!c->streams[n].busy) return ask2(c, &c->streams[n], due), 1;
    turn = (turn + 1) % conns;
  }
  return 0;
}

static int compare(const void *a, const void *b) {
  return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : *(const uint32_t *)a > *(const uint32_t *)b;
}

static double quantile(double q) {
  return sample_count == 0 ? 0 : samples[(size_t)((sample_count - 1) * q)] / 10.0;
}

static void option(const char *arg) {
  const char *value = strchr(arg, '=');
  if (value == NULL) exit(2);
  value++;
  if (strncmp(arg, "proto=", 6) == 0) h2 = strcmp(value, "h2") == 0;
  else if (strncmp(arg, "port=", 5) == 0) port = atoi(value);
  else if (strncmp(arg, "conns=", 6) == 0) conns = atoi(value);
  else if (strncmp(arg, "streams=", 8) == 0) streams = atoi(value);
  else if (strncmp(arg, "seconds=", 8) == 0) seconds = atof(value);
  else if (strncmp(arg, "rate=", 5) == 0) rate = atof(value);
  else if (strncmp(arg, "body=", 5) == 0) body = atol(value);
  else if (strncmp(arg, "models=", 7) == 0) models = atoi(value);
  else if (strncmp(arg, "digits=", 7) == 0) digits = atoi(value);
  else if (strncmp(arg, "host=", 5) == 0) host = value;
  else if (strncmp(arg, "trace=", 6) == 0) trace = atoi(value);
  else if (strncmp(arg, "hold=", 5) == 0) hold = atoi(value);
  else fprintf(stderr, "load: %s is no option\n", arg), exit(2);
}

/* A ModelInferRequest of `body` bytes: its model's name, then raw input. */
static void build_message(void) {
  message_size = body;
  message = malloc(body + 1);
  memset(message, ' ', body);
  if (!h2) return;
  unsigned char *m = (unsigned char *)message;
  size_t inner = body - 5, at = 5;
  m[0] = 0;
  for (int i = 0; i < 4; i++) m[1 + i] = inner >> (24 - 8 * i);
  int name = sprintf(message + at + 2, "model-%0*d", digits, 0);
  m[at++] = 10;
  m[at++] = name;
  at += name;
  size_t raw = body - at - 6; /* one byte of tag, a length padded to five */
  m[at++] = 58;
  for (int i = 0; i < 5; i++) m[at++] = (raw >> (7 * i) & 127) | (i < 4 ? 128 : 0);
}

static void turn(int timeout_ns) {
  struct epoll_event events[256];
  struct timespec wait = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  int count = epoll_pwait2(epoll, events, 256, &wait, NULL);
  for (int i = 0; i < count; i++) {
    Conn *c = events[i].data.ptr;
    if (events[i].events & EPOLLOUT) flush(c);
    if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
    ssize_t size = recv(c->fd, input, READ, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) continue;
    if (size <= 0) {
      if (stopping || hold) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
        continue;
      }
      lost(c);
    }
    if (h2) read2(c, input, input + size);
    else read1(c, input, input + size);
  }
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) option(argv[i]);
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(0);
  samples = malloc(8000000 * sizeof *samples);
  all = calloc(conns, sizeof *all);
  build_message();
  for (int i = 0; i < conns; i++) {
    open_conn(&all[i]);
    if (hold) {
      uint64_t before = requests;
      if (h2) ask2(&all[i], &all[i].streams[0], now()), flush(&all[i]);
      else ask1(&all[i], now());
      while (requests == before) turn(1000000);
    }
  }
  if (hold) {
    printf("held\n");
    fflush(stdout);
    while (read(0, input, READ) > 0);
  }
  start = now();
  max_in_flight = conns * streams;
  uint64_t end = start + seconds * 1e9, due_count = 0;
  for (int i = 0; i < conns && rate == 0 && !hold; i++) {
    for (int n = 0; h2 && n < streams; n++) ask2(&all[i], &all[i].streams[n], now());
    if (h2) flush(&all[i]);
    else ask1(&all[i], now());
  }
  while (now() < end && !hold) {
    if (rate == 0) {
      turn(10000000);
      continue;
    }
    /* In bursts, a tick apart: a wake-up for every request would make the load itself the bottleneck. */
    uint64_t tick = start + (now() - start) / TICK_NS * TICK_NS, due;
    while ((due = start + (uint64_t)(due_count * (1e9 / rate)) / TICK_NS * TICK_NS) <= tick && ask_due(due)) due_count++;
    /* Requests of a burst that share a connection are written at once, as those are that follow answers read at once. */
    for (int i = 0; h2 && i < conns; i++)
      if (all[i].size > all[i].at) flush(&all[i]);
    int64_t wait = (int64_t)(tick + TICK_NS) - (int64_t)now();
    turn(wait < 0 ? 0 : wait);
  }
  stopping = 1;
  double took = (now() - start) / 1e9;
  uint64_t grace = now() + 1000000000ull;
  while (in_flight > 0 && now() < grace) turn(10000000);
  qsort(samples, sample_count, sizeof *samples, compare);
  printf("{\"requests\":%llu,\"bad\":%llu,\"seconds\":%.4f,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f}\n",
         (unsigned long long)requests, (unsigned long long)(bad + in_flight), took, quantile(0.5), quantile(0.99),
         quantile(0.999));
}
