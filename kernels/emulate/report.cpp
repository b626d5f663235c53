// How a fault is told: kernel, block, thread, what happened, where.
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime.h"

namespace emulate {

std::string describe(Dim3 d) { return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")"; }

bool same_line(Site a, Site b) { return a.line() == b.line() && a.column() == b.column() && !strcmp(a.file_name(), b.file_name()); }

static std::string from_kernels(const char* path) {
    const char* name = strstr(path, "kernels/");
    return name ? name : path;
}

// The line that an instruction was compiled from, and the lines that it was inlined into, by addr2line.
static std::string describe_code(const void* instruction) {
    Dl_info library;
    if (!dladdr(instruction, &library)) return "at unknown code";
    const size_t offset = static_cast<const char*>(instruction) - static_cast<const char*>(library.dli_fbase);
    char command[4200], line[4096];
    snprintf(command, sizeof command, "addr2line -i -e '%s' %#zx 2>/dev/null", library.dli_fname, offset);
    std::string text;
    if (FILE* output = popen(command, "r")) {
        while (fgets(line, sizeof line, output)) {
            line[strcspn(line, " \n")] = 0;
            // The unpacking of parameters, in runtime.h, encloses all of a kernel.
            if (line[0] != '?' && !strstr(line, "emulate/runtime.h")) text += (text.empty() ? "" : ", in ") + from_kernels(line);
        }
        pclose(output);
    }
    if (!text.empty()) return text;
    snprintf(line, sizeof line, "%s+%#zx", library.dli_fname, offset);
    return line;
}

std::string Place::describe() const {
    if (bits & kCode) return describe_code(reinterpret_cast<const void*>(bits & ~kCode));
    Site site;
    memcpy(static_cast<void*>(&site), &bits, sizeof bits);
    return from_kernels(site.file_name()) + ":" + std::to_string(site.line());
}

void record(Block& block, Fault fault, const std::string& text) {
    Launch& launch = *block.launch;
    std::lock_guard lock(launch.mutex);
    if (launch.failed.exchange(true)) return;
    launch.fault = fault;
    launch.message = std::string("kernel ") + launch.kernel->name + ", block " + describe(block.index) + text;
}

std::string describe_threads(const Block& block) {
    std::string text;
    for (int first = 0, next; first < block.thread_count; first = next) {
        const Thread& t = block.threads[first];
        for (next = first + 1; next < block.thread_count; next++) {
            const Thread& u = block.threads[next];
            if (u.ended != t.ended || (!t.ended && (strcmp(u.operation, t.operation) || !same(u.site, t.site)))) break;
        }
        text += (first ? "; threads " : "threads ") + std::to_string(first) + (next - first > 1 ? "-" + std::to_string(next - 1) : "");
        text += t.ended ? " have ended" : std::string(" wait at ") + t.operation + " (" + Place(t.site).describe() + ")";
    }
    return text;
}

}  // namespace emulate
