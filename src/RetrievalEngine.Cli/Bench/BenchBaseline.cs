using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;

namespace RetrievalEngine.Cli.Bench;

/// <summary>The stored result of an earlier run: what <c>retrieval bench --json</c> printed.</summary>
internal sealed class BenchBaseline
{
    private readonly Dictionary<(string Op, string Name, string Shape, string DType), double> _seconds = [];

    private BenchBaseline(string hardware) => Hardware = hardware;

    /// <summary>The hardware that it was made on.</summary>
    public string Hardware { get; }

    /// <summary>Reads <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is no such result.</exception>
    public static BenchBaseline Load(string path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement root = document.RootElement;
            BenchBaseline baseline = new(root.GetProperty("machine").GetProperty("hardware").GetString() ?? "");
            foreach (JsonElement entry in root.GetProperty("cases").EnumerateArray())
            {
                string Field(string name) => entry.GetProperty(name).GetString() ?? "";
                if (entry.TryGetProperty("seconds", out JsonElement seconds))
                    baseline._seconds[(Field("op"), Field("case"), Field("shape"), Field("dtype"))] = seconds.GetDouble();
            }

            return baseline;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new InputException($"{path}: not the output of retrieval bench --json", e);
        }
    }

    /// <summary>What <paramref name="work"/> took then; null where it was not done.</summary>
    public double? Seconds(BenchCase work) =>
        _seconds.TryGetValue((work.Op, work.Name, work.Shape, work.DType.ToString()), out double seconds) ? seconds : null;
}
