using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Threading;
using NUnit.Framework;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Tests.Indexing;

/// <summary>A writer killed at any moment leaves exactly the last committed generation.</summary>
internal sealed class IndexCrashTests
{
    private const int Kills = 200;

    [Test]
    public void KilledAtRandomPoints_HoldsTheLastGeneration()
    {
        using TempFolder temp = new();
        string folder = temp.File("index");
        string[] ids = IndexRows.Ids(0, 60);
        IndexBuilder.Import(IndexRows.Source(ids), folder, Metric.InnerProduct, VectorStorage.Float32);
        string before = string.Join(',', ids);
        int generation = 1, committed = 0;
        Random random = new(11);
        // The next one starts while this one is checked.
        Process writer = Start(folder, 0);
        for (int kill = 0; kill < Kills; kill++)
        {
            using Process current = writer;
            if (kill + 1 < Kills) writer = Start(folder, kill + 1);
            current.StandardInput.WriteLine();
            List<string> lines = [];
            for (int wanted = random.Next(1, 8); wanted > 0 && current.StandardOutput.ReadLine() is { } line; wanted--) lines.Add(line);
            Thread.Sleep(random.Next(0, 4));
            current.Kill();
            current.WaitForExit();
            while (current.StandardOutput.ReadLine() is { } line) lines.Add(line);

            Dictionary<int, string> states = new() { [generation] = before };
            int last = generation;
            foreach (string line in lines)
            {
                string[] words = line.Split(' ');
                if (words[0] == "next") states[Number(words[1])] = words[2];
                if (words[0] == "done") last = Number(words[1]);
            }

            using IndexStore store = IndexStore.Open(folder);
            store.Verify();
            int found = store.Manifest.Generation;
            string where = $"kill {kill}, {lines.Count} lines, generation {found} after {last}";
            Assert.That(lines, Is.Not.Empty.And.Some.EqualTo("ready"), where);
            // What was reported counts; the step after it may have.
            Assert.That(found, Is.EqualTo(last).Or.EqualTo(last + 1), where);
            before = string.Join(',', IndexRows.Check(store));
            Assert.That(before, Is.EqualTo(states[found]), where);
            committed += found - generation;
            generation = found;
        }

        IndexEditor.Compact(folder);
        using IndexStore compacted = IndexStore.Open(folder);
        Assert.That(string.Join(',', IndexRows.Check(compacted)), Is.EqualTo(before));
        Assert.That(committed, Is.GreaterThan(Kills / 2), "the writers were killed before they wrote anything");
        TestContext.Out.WriteLine($"{Kills} kills, {committed} generations");
    }

    private static Process Start(string folder, int seed) => Process.Start(
        new ProcessStartInfo("dotnet", [typeof(CrashWriter).Assembly.Location, CrashWriter.Verb, folder, seed.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        }) ?? throw new InvalidOperationException("dotnet did not start");

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
