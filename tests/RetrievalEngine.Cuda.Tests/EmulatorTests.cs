using System;
using System.Diagnostics;
using System.IO;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>
/// The emulator's own tests (kernels/emulate/tests), each in a process of its own: kernels with planted bugs that it must find, and what its driver promises.
/// </summary>
[TestFixture]
internal sealed class EmulatorTests
{
    private static string Program { get; } = Path.Combine(CudaLibrary.Root ?? "", "out", "emulate", "emulator-tests");

    [TestCaseSource(nameof(Names))]
    public void Emulator(string name)
    {
        if (name.Length == 0) CiGate.SkipOrFail("there is no emulated driver; ./build.sh test makes it with cmake and g++");
        (int code, _, string errors) = Run(name);
        Assert.That(code, Is.Zero, errors);
    }

    private static string[] Names() => File.Exists(Program) ? Run("--list").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries) : [""];

    private static (int Code, string Output, string Errors) Run(string argument)
    {
        ProcessStartInfo start = new(Program, [argument]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        System.Threading.Tasks.Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            process.Kill();
            return (-1, output, "not ended after two minutes");
        }

        return (process.ExitCode, output, errors.GetAwaiter().GetResult());
    }
}
