using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Text;

/// <summary>Variants of the small tokenizers that together use every component and flag, against the reference library.</summary>
internal sealed class TokenizerComponentTests
{
    private static string Folder => Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers");

    private static IEnumerable<TestCaseData> Variants() => File.ReadLines(Path.Combine(Folder, "components.jsonl"))
        .Select(static line => JsonNode.Parse(line)!.AsObject())
        .Select(static v => new TestCaseData(v).SetName($"Verify_{v["name"]}_EveryIdAndOffsetAgrees"));

    [TestCaseSource(nameof(Variants))]
    public void Verify(JsonObject variant)
    {
        using TempFolder folder = new();
        JsonObject tokenizer = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, $"{variant["base"]}", "tokenizer.json")))!.AsObject();
        Merge(tokenizer, variant["patch"]!.AsObject());
        folder.Write("tokenizer.json", tokenizer.ToJsonString());
        StringBuilder cases = new(), pairs = new();
        foreach (JsonNode? row in variant["cases"]!.AsArray())
        {
            cases.AppendLine(row!.ToJsonString());
            JsonObject pair = new()
            {
                ["a"] = row["text"]!.DeepClone(),
                ["b"] = row["second"]!.DeepClone(),
                ["ids"] = row["pair_ids"]!.DeepClone(),
                ["type_ids"] = row["pair_type_ids"]!.DeepClone(),
            };
            pairs.AppendLine(pair.ToJsonString());
        }

        folder.Write("cases.jsonl", cases.ToString());
        folder.Write("pairs.jsonl", pairs.ToString());
        List<VerificationItem> items = [.. TokenizerVerifier.Verify(folder.Path)];
        Assert.That(items.Where(i => i.Outcome != VerificationOutcome.Ok).Select(i => $"{i.Measure}: {i.Error}, {i.Note}"), Is.Empty);
        Assert.That(items, Has.Count.EqualTo(6));
    }

    /// <summary>JSON merge patch (RFC 7396).</summary>
    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach ((string key, JsonNode? value) in patch)
        {
            if (value is JsonObject part && target[key] is JsonObject old && part["type"] is null) Merge(old, part);
            else if (value is null) target.Remove(key);
            else target[key] = value.DeepClone();
        }
    }
}
