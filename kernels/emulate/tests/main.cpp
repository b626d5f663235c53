// emulator-tests --list | NAME…: runs the named tests; exit code 1 and a message after the first that fails.
#include <stdlib.h>
#include "test.h"

static std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}
Test::Test(const char* name, void (*run)()) : name(name), run(run) { tests().push_back(*this); }

void fail_test(const char* file, int line, const std::string& text) {
    fprintf(stderr, "%s:%d: %s\n", file, line, text.c_str());
    _Exit(1);
}

int main(int count, char** arguments) {
    for (int i = 1; i < count; i++) {
        bool found = false;
        for (const Test& test : tests()) {
            if (!strcmp(arguments[i], "--list")) puts(test.name);
            else if (!strcmp(arguments[i], test.name)) test.run();
            else continue;
            found = true;
        }
        if (!found) return fprintf(stderr, "there is no test %s\n", arguments[i]), 2;
    }
    fflush(stdout);
    _Exit(0);
}
