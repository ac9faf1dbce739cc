// A maker's program in C++17 over the cart's API: signs in, opens an exam, takes a picture, ends the exam.
//   c++ -std=c++17 -o cart_client docs/examples/cart_client.cpp
//   ./cart_client PORT USER PIN
// The paths and bodies are described by http://127.0.0.1:PORT/api/1/openapi.json. Plain sockets and a search for one
// field keep this short; a program of yours takes the HTTP and JSON libraries that it has.
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <stdexcept>
#include <string>

struct Answer { int status; std::string head, body; };

struct Cart {
  std::string port, cookie, token;

  Answer ask(const std::string& method, const std::string& path, const std::string& body = "") const {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo("127.0.0.1", port.c_str(), &hints, &found) != 0) throw std::runtime_error("no such port");
    const int to = socket(found->ai_family, found->ai_socktype, 0);
    const bool connected = connect(to, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    if (!connected) throw std::runtime_error("no cart at port " + port + "; start it");
    const std::string request = method + " /api/1/" + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + port +
        "\r\nConnection: close\r\nContent-Type: application/json\r\nX-CSRF-Token: " + token + "\r\nCookie: " + cookie +
        "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    for (size_t sent = 0; sent < request.size();) {
      const ssize_t more = send(to, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (more <= 0) throw std::runtime_error("the cart went away");
      sent += static_cast<size_t>(more);
    }
    std::string all;
    char piece[4096];
    for (ssize_t got; (got = recv(to, piece, sizeof piece, 0)) > 0;) all.append(piece, static_cast<size_t>(got));
    close(to);
    const size_t end = all.find("\r\n\r\n");
    if (end == std::string::npos || all.size() < 12) throw std::runtime_error("the answer is cut off");
    return {std::stoi(all.substr(9, 3)), all.substr(0, end), all.substr(end + 4)};
  }

  Answer change(const std::string& path, const std::string& body = "{}") const {
    Answer answer = ask("POST", path, body);
    if (answer.status >= 300) throw std::runtime_error(path + ": " + field(answer.body, "detail"));
    return answer;
  }

  static std::string field(const std::string& json, const std::string& name) {
    const size_t at = json.rfind("\"" + name + "\":\"");
    if (at == std::string::npos) return "";
    const size_t from = at + name.size() + 4;
    return json.substr(from, json.find('"', from) - from);
  }
};

int main(int count, char** words) try {
  if (count != 4) throw std::runtime_error("usage: cart_client PORT USER PIN");
  Cart cart{words[1], "", ""};
  const Answer in = cart.change("sign-in", std::string("{\"name\":\"") + words[2] + "\",\"pin\":\"" + words[3] + "\"}");
  const size_t at = in.head.find("rop_session=");
  cart.cookie = in.head.substr(at, in.head.find(';', at) - at);
  cart.token = Cart::field(in.body, "csrf");
  const std::string infant = R"({"infant_id":"M-2","name":"Maker^Ada","sex":"F","born_at":"2026-10-18T00:00",)"
                             R"("gestational_age":"27w3d","birth_weight_g":980})";
  const std::string exam =
      Cart::field(cart.change("exams", R"({"wrist_band_checked":true,"infant":)" + infant + "}").body, "exam");
  // What the screen shows goes along: nothing is set and no picture taken for anything else.
  const std::string shown = "{\"exam\":\"" + exam + R"(","eye":"OD","view":"disc-centred"})";
  cart.change("aim", shown);
  const Answer taken = cart.change("capture", shown);
  std::cout << Cart::field(taken.body, "banner") << "\n";
  const Answer ended = cart.change("exams/" + exam + "/stop", R"({"cause":"equipment","note":"example"})");
  std::cout << Cart::field(ended.body, "phase") << "\n";
} catch (const std::exception& error) {
  std::cerr << "cart_client: " << error.what() << "\n";
  return 2;
}
