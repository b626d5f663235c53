using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>
/// The compiled kernels and the tools that read them, which <c>./build.sh test</c> leaves where an nvcc is. A test that needs them is skipped without, but
/// fails in CI, where .ci/run gets the compiler, unless it says that the download failed.
/// </summary>
internal static class Toolchain
{
    /// <summary>The sources: every kernels/*.cu and kernels/hopper/*.cu; none where the tests were carried away from the repository.</summary>
    public static IReadOnlyList<string> Sources { get; } = CudaLibrary.Root is not { } root ? []
        : [.. new[] { "kernels", "kernels/hopper" }.Select(folder => Path.Combine(root, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.GetFiles(folder, "*.cu")).Order(StringComparer.Ordinal)];

    /// <summary>The compiled form of <paramref name="source"/>.</summary>
    public static string Fatbin(string source) =>
        Path.Combine(CudaLibrary.Root!, "artifacts", "kernels", Path.GetFileNameWithoutExtension(source) + ".fatbin");

    /// <summary>The folder of nvcc and its companions, as CMake found it; the test ends here, saying why, where there is none.</summary>
    public static string Require()
    {
        string? cache = CudaLibrary.Root is { } root ? Path.Combine(root, "artifacts", "cmake", "kernels", "CMakeCache.txt") : null;
        string? line = File.Exists(cache) ? File.ReadLines(cache).FirstOrDefault(l => l.StartsWith("NVCC:", StringComparison.Ordinal)) : null;
        string nvcc = line?[(line.IndexOf('=', StringComparison.Ordinal) + 1)..] ?? "";
        if (!File.Exists(nvcc)) CiGate.SkipOrFail("no nvcc was found when this was built; cmake/get-cuda.sh gets it");
        return Path.GetDirectoryName(nvcc)!;
    }

    /// <summary>What cuobjdump prints.</summary>
    public static IEnumerable<string> Dump(params string[] arguments)
    {
        ProcessStartInfo start = new(Path.Combine(Require(), "cuobjdump"), arguments) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        while (process.StandardOutput.ReadLine() is { } line) yield return line;
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"cuobjdump {string.Join(' ', arguments)}");
    }
}
