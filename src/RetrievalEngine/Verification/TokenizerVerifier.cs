using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using RetrievalEngine.Text;

namespace RetrievalEngine.Verification;

/// <summary>
/// Checks a tokenizer against a folder with its files (<c>tokenizer.json</c>, or others that one can be read from), <c>cases.jsonl</c> (for each text
/// its ids with and without special tokens, the
/// offsets of the latter in code points, and the text they decode to) and, where it is there, <c>pairs.jsonl</c> (ids and type ids of pairs).
/// </summary>
public static class TokenizerVerifier
{
    private const string CasesFile = "cases.jsonl", PairsFile = "pairs.jsonl";

    /// <summary>Whether <paramref name="folder"/> has this layout.</summary>
    public static bool Recognises(string folder) =>
        Tokenizer.FilesIn(folder).Count > 0 && File.Exists(Path.Combine(folder, CasesFile));

    /// <summary>Compares everything in <paramref name="folder"/>; the error of an item is the number of texts that differ, and none may.</summary>
    /// <exception cref="InputException">A file of cases is malformed.</exception>
    public static IEnumerable<VerificationItem> Verify(string folder)
    {
        string item = Path.Combine(folder, Tokenizer.FilesIn(folder)[0]);
        Tokenizer tokenizer;
        try
        {
            tokenizer = Tokenizer.Load(folder);
        }
        catch (InputException e)
        {
            // What is refused by name is not there yet; anything else wrong with the file is a failure.
            bool unsupported = e.Message.EndsWith("is not supported", StringComparison.Ordinal);
            return [new(item, "load", 1, 0, unsupported ? VerificationOutcome.Skipped : VerificationOutcome.Failed, e.Message)];
        }

        List<VerificationItem> items = [.. VerifyCases(Path.Combine(folder, CasesFile), item, tokenizer)];
        string pairs = Path.Combine(folder, PairsFile);
        if (File.Exists(pairs)) items.AddRange(VerifyPairs(pairs, item, tokenizer));
        return items;
    }

    private static VerificationItem[] VerifyCases(string path, string item, Tokenizer tokenizer)
    {
        Check ids = new("ids"), plain = new("ids without special tokens"), offsets = new("offsets"), decoded = new("decoded text");
        foreach (JsonFields row in Rows(path))
        {
            string text = row.Text("text");
            TokenizedText actual = tokenizer.EncodeWithOffsets(text, addSpecialTokens: false);
            int[] expectedPlain = Ints(row, "ids_plain");
            ids.Compare(row, Ints(row, "ids"), tokenizer.Encode(text));
            plain.Compare(row, expectedPlain, actual.Ids);
            plain.Compare(row, expectedPlain, tokenizer.Encode(text, addSpecialTokens: false));
            if (row.Has("offsets")) offsets.Compare(row, Offsets(row), Flatten(actual.Offsets));
            if (row.Has("decoded")) decoded.Compare(row, row.Text("decoded").ToCharArray(), tokenizer.Decode(expectedPlain).ToCharArray());
        }

        return [ids.Judge(item), plain.Judge(item), offsets.Judge(item), decoded.Judge(item)];
    }

    private static VerificationItem[] VerifyPairs(string path, string item, Tokenizer tokenizer)
    {
        Check ids = new("ids of pairs"), types = new("type ids of pairs");
        foreach (JsonFields row in Rows(path))
        {
            TokenizedText actual = tokenizer.EncodePair(row.Text("a"), row.Text("b"));
            ids.Compare(row, Ints(row, "ids"), actual.Ids);
            types.Compare(row, Ints(row, "type_ids"), actual.TypeIds);
        }

        return [ids.Judge(item), types.Judge(item)];
    }

    private static IEnumerable<JsonFields> Rows(string path)
    {
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (line.Length > 0) yield return JsonFields.Parse(System.Text.Encoding.UTF8.GetBytes(line), $"{path} line {number}");
        }
    }

    private static int[] Ints(JsonFields row, string name)
    {
        if (!row.TryGet(name, out JsonElement array) || array.ValueKind != JsonValueKind.Array) throw row.Error(name, "must be an array");
        List<int> values = [];
        foreach (JsonElement element in array.EnumerateArray()) values.Add(Int(element, row, name));
        return [.. values];
    }

    private static int[] Offsets(JsonFields row)
    {
        List<int> values = [];
        foreach (JsonElement pair in row.Element.GetProperty("offsets").EnumerateArray())
        {
            if (pair.ValueKind != JsonValueKind.Array || pair.GetArrayLength() != 2) throw row.Error("offsets", "must hold [start, end] pairs");
            values.AddRange([Int(pair[0], row, "offsets"), Int(pair[1], row, "offsets")]);
        }

        return [.. values];
    }

    private static int Int(JsonElement element, JsonFields row, string name) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out int value) ? value : throw row.Error(name, "must hold whole numbers");

    private static int[] Flatten((int Start, int End)[] offsets)
    {
        int[] values = new int[offsets.Length * 2];
        for (int i = 0; i < offsets.Length; i++) (values[2 * i], values[(2 * i) + 1]) = offsets[i];
        return values;
    }

    /// <summary>Counts the texts that differ and remembers the first.</summary>
    private sealed class Check(string measure)
    {
        private int _texts, _wrong;
        private string? _first;

        public void Compare<T>(JsonFields row, T[] expected, T[] actual)
            where T : IEquatable<T>
        {
            _texts++;
            if (expected.AsSpan().SequenceEqual(actual)) return;
            _wrong++;
            int at = expected.AsSpan().CommonPrefixLength(actual);
            _first ??= $"{row.Where}: from element {at} on, {Show(expected, at)} is expected but {Show(actual, at)} found";
        }

        public VerificationItem Judge(string item) =>
            new(item, measure, _wrong, 0, _wrong == 0 ? VerificationOutcome.Ok : VerificationOutcome.Failed, _first ?? $"{_texts} texts");

        private static string Show<T>(T[] values, int at) => $"[{string.Join(' ', values[at..Math.Min(values.Length, at + 6)])}]";
    }
}
