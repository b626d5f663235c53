using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Indexing;

namespace RetrievalEngine.Tests.Indexing;

/// <summary>Vectors that follow from their ids, so that an index can be checked by itself.</summary>
internal static class IndexRows
{
    public const int Dimensions = 5;

    public static float[] Of(string id)
    {
        uint hash = 2166136261;
        foreach (char c in id) hash = (hash ^ c) * 16777619;
        // Eighths: exact in float16 and bfloat16.
        return [.. Enumerable.Range(0, Dimensions).Select(i => (int)(hash >> (5 * i) & 31) / 8f - 2)];
    }

    public static VectorSource Source(IReadOnlyList<string> ids, Func<string, float[]>? vectors = null) =>
        new("test", ids.Count, Dimensions, row => ids[(int)row], (first, rows) =>
        {
            for (int i = 0; i * Dimensions < rows.Length; i++) (vectors ?? Of)(ids[(int)first + i]).CopyTo(rows[(i * Dimensions)..]);
        });

    public static string[] Ids(int first, int count) => [.. Enumerable.Range(first, count).Select(i => $"d{i}")];

    /// <summary>The live ids in order, after their vectors were compared.</summary>
    public static string[] Check(IndexStore store)
    {
        List<string> ids = [];
        float[] row = new float[Dimensions];
        foreach (long at in store.LiveRows)
        {
            string id = store.Id(at);
            store.Read(at, row);
            if (!row.AsSpan().SequenceEqual(Of(id))) throw new InvalidOperationException($"the vector of {id} is another");
            ids.Add(id);
        }

        return [.. ids];
    }
}
