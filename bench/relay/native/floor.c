/* The floor: what any proxy must pay for. Copies bytes between a client and an upstream connection of its own; parses nothing.
 * floor PORT UPSTREAM_PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

/* One end of a pair. `pending` is what it has not taken yet; while there is some, its peer is not read. */
typedef struct End {
  int fd;
  int closed;
  struct End *peer;
  char *pending;
  size_t at, size;
} End;

static int epoll;
static char buffer[CHUNK];

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static void watch(End *end, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = end};
  epoll_ctl(epoll, operation, end->fd, &event);
}

static void interest(End *end) {
  watch(end, EPOLL_CTL_MOD, (end->peer->size > 0 ? 0 : EPOLLIN) | (end->size > 0 ? EPOLLOUT : 0));
}

static End *open_end(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  End *end = calloc(1, sizeof *end);
  end->fd = fd;
  return end;
}

static void close_pair(End *end) {
  End *ends[2] = {end, end->peer};
  for (int i = 0; i < 2; i++) {
    close(ends[i]->fd);
    free(ends[i]->pending);
    ends[i]->pending = NULL;
    ends[i]->closed = 1; /* freed with the process: an event of this round may still name it */
  }
}

static void accept_pair(int listener, int upstream_port) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  int up = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = loopback(upstream_port);
  if (connect(up, (struct sockaddr *)&address, sizeof address) != 0) {
    close(up);
    close(fd);
    return;
  }
  End *client = open_end(fd), *server = open_end(up);
  client->peer = server;
  server->peer = client;
  watch(client, EPOLL_CTL_ADD, EPOLLIN);
  watch(server, EPOLL_CTL_ADD, EPOLLIN);
}

static void readable(End *end) {
  End *to = end->peer;
  ssize_t size = recv(end->fd, buffer, CHUNK, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return close_pair(end);
  ssize_t sent = send(to->fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return close_pair(end);
  if (sent < 0) sent = 0;
  if (sent == size) return;
  if (to->pending == NULL) to->pending = malloc(CHUNK);
  memcpy(to->pending, buffer + sent, size - sent);
  to->at = 0;
  to->size = size - sent;
  interest(end);
  interest(to);
}

static void writable(End *end) {
  ssize_t sent = send(end->fd, end->pending + end->at, end->size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) close_pair(end);
    return;
  }
  end->at += sent;
  end->size -= sent;
  if (end->size > 0) return;
  interest(end);
  interest(end->peer);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = loopback(atoi(argv[1]));
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0) return 1;
  epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      End *end = events[i].data.ptr;
      if (end == NULL) accept_pair(listener, atoi(argv[2]));
      else {
        if (!end->closed && (events[i].events & EPOLLOUT)) writable(end);
        if (!end->closed && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(end);
      }
    }
  }
}
