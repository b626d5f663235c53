using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Indexing;

namespace RetrievalEngine.Tests.Indexing;

/// <summary>
/// A process that changes an index without end until it is killed: what <see cref="IndexCrashTests"/> starts. Before each change it prints the generation to
/// come and the ids that it will hold, and after it that it counts.
/// </summary>
internal static class CrashWriter
{
    /// <summary>The first argument that asks for it.</summary>
    public const string Verb = "write-until-killed";

    private const int ShardBytes = 8 * IndexRows.Dimensions * sizeof(float);

    private static int Main(string[] args)
    {
        if (args is not [Verb, string folder, string seed]) return 2;
        // The folder is another's until a line comes.
        Console.In.ReadLine();
        Random random = new(int.Parse(seed, System.Globalization.CultureInfo.InvariantCulture));
        List<string> live;
        int generation;
        using (IndexStore store = IndexStore.Open(folder))
        {
            live = [.. IndexRows.Check(store)];
            generation = store.Manifest.Generation;
        }

        Console.Out.WriteLine("ready");
        while (true) Change(folder, random, live, ref generation);
    }

    private static void Change(string folder, Random random, List<string> live, ref int generation)
    {
        int choice = random.Next(10);
        if (choice < 5 || live.Count < 40)
        {
            string[] added = IndexRows.Ids(1000 * (generation + 1), random.Next(1, 40));
            if (choice == 0 && live.Count > 5) added[0] = live[random.Next(live.Count)];
            List<string> next = [.. live.Except(added), .. added];
            Intend(generation + 1, next);
            generation = IndexEditor.Add(folder, IndexRows.Source(added), replace: true, shardBytes: ShardBytes).Generation;
            live.Clear();
            live.AddRange(next);
        }
        else if (choice < 8)
        {
            string[] gone = [.. live.Where(_ => random.Next(4) == 0)];
            Intend(generation + 1, [.. live.Except(gone)]);
            IndexEditor.Delete(folder, gone);
            live.RemoveAll(gone.Contains);
            generation = IndexManifest.Load(folder).Generation;
        }
        else
        {
            Intend(generation + 1, live);
            generation = IndexEditor.Compact(folder, shardBytes: ShardBytes).Generation;
        }

        Console.Out.WriteLine($"done {generation}");
    }

    private static void Intend(int generation, IReadOnlyList<string> ids) => Console.Out.WriteLine($"next {generation} {string.Join(',', ids)}");
}
