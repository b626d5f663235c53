using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using System.Xml.Linq;
using NUnit.Framework;

namespace RetrievalEngine.Compute.Tests;

/// <summary>Fixtures of this assembly, run once more in a child process with another environment: what a process decides once.</summary>
internal static class ChildFixtures
{
    /// <summary>Runs the tests that <paramref name="filter"/> names and demands that all of them, and more than a hundred, pass.</summary>
    public static async Task RunAsync(string name, string filter, Dictionary<string, string?> environment, TimeSpan limit)
    {
        string results = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"child-{name}-{Environment.ProcessId}.trx");
        string host = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";
        ProcessStartInfo start = new(host)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList = { "vstest", typeof(ChildFixtures).Assembly.Location, $"--TestCaseFilter:{filter}", $"--logger:trx;LogFileName={results}" },
        };
        foreach ((string variable, string? value) in environment) start.Environment[variable] = value;
        using Process child = Process.Start(start)!;
        Task<string> output = child.StandardOutput.ReadToEndAsync(), errors = child.StandardError.ReadToEndAsync();
        if (!child.WaitForExit(limit)) child.Kill(entireProcessTree: true);
        string text = await output + await errors;
        Assert.That(File.Exists(results), text);
        XElement counters = XDocument.Load(results).Descendants().Single(element => element.Name.LocalName == "Counters");
        File.Delete(results);
        TestContext.Out.WriteLine($"{name}: {counters.Attribute("passed")!.Value} of {counters.Attribute("total")!.Value} op tests passed");
        Assert.That(child.ExitCode, Is.Zero, text);
        Assert.That((int)counters.Attribute("passed")!, Is.GreaterThan(100), "op tests that passed");
    }
}
