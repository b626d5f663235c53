using System;
using System.Buffers.Text;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace RetrievalEngine.Text;

/// <summary>
/// Rank files of tiktoken (Llama 3's <c>tokenizer.model</c>): a line for each token, its bytes in base64 and its rank. Two neighbours become one
/// where their bytes together are a
/// token, the lowest rank first.
/// </summary>
internal static class TiktokenFile
{
    private const int Llama3Ranks = 128_000, Llama3Specials = 256;

    /// <summary>Whether a file begins like one.</summary>
    public static bool Recognises(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)'\n');
        return end is > 0 and < 4096 && TryParseLine(bytes[..end], out _, out _);
    }

    /// <summary>Builds the tokenizer of a rank file with Llama 3's split pattern, which is also that of cl100k.</summary>
    /// <exception cref="InputException">A line is damaged, or a single byte has no token.</exception>
    public static TokenizerParts Build(ReadOnlySpan<byte> bytes, TokenizerSettings settings, string where)
    {
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        int line = 0;
        foreach (Range range in bytes.Split((byte)'\n'))
        {
            line++;
            ReadOnlySpan<byte> text = bytes[range].TrimEnd((byte)'\r');
            if (text.IsEmpty) continue;
            if (!TryParseLine(text, out byte[] token, out int rank)) throw new InputException($"{where} line {line}: a token in base64 and its rank are expected");
            if (!ids.TryAdd(string.Concat(token.Select(b => ByteAlphabet.Characters[b])), rank)) throw new InputException($"{where} line {line}: this token was there before");
        }

        foreach (char c in ByteAlphabet.Characters)
        {
            if (!ids.ContainsKey($"{c}")) throw new InputException($"{where}: the byte {ByteAlphabet.ByteOf(c)} has no token; the file is not complete");
        }

        if (ids.Values.Distinct().Count() != ids.Count) throw new InputException($"{where}: two tokens have one rank");
        Vocabulary vocabulary = new(ids);
        return ByteLevelTokenizer.Build(
            new BpeModel(vocabulary, Merges(ids), new BpeOptions(IgnoreMerges: true), unknown: -1, mergesByResult: true),
            GptPattern.Llama3, normalizer: null, prefixSpace: false, AddedTokenList.Make([.. Specials(ids.Count), .. settings.Added(new Dictionary<string, string>())], vocabulary), settings);
    }

    private static bool TryParseLine(ReadOnlySpan<byte> line, out byte[] token, out int rank)
    {
        token = [];
        rank = 0;
        int space = line.IndexOf((byte)' ');
        if (space <= 0 || !Base64.IsValid(line[..space], out int length) || length == 0) return false;
        token = new byte[length];
        return Base64.DecodeFromUtf8(line[..space], token, out _, out _) == System.Buffers.OperationStatus.Done
            && int.TryParse(line[(space + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out rank) && rank <= Vocabulary.MaxId;
    }

    private static List<Merge> Merges(Dictionary<string, int> ids)
    {
        List<Merge> merges = [];
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach ((string token, int id) in ids)
        {
            for (int i = 1; i < token.Length; i++)
            {
                if (lookup.TryGetValue(token.AsSpan(0, i), out int left) && lookup.TryGetValue(token.AsSpan(i), out int right)) merges.Add(new(left, right, id));
            }
        }

        return merges;
    }

    /// <summary>The special tokens that Meta's code puts behind the 128,000 ranks of Llama 3.</summary>
    private static IEnumerable<(int? Id, AddedToken Token)> Specials(int ranks)
    {
        if (ranks != Llama3Ranks) yield break;
        string[] named =
        [
            "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|reserved_special_token_2|>",
            "<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>",
        ];
        for (int i = 0; i < Llama3Specials; i++)
        {
            string content = i < named.Length ? named[i] : $"<|reserved_special_token_{i - 5}|>";
            yield return (ranks + i, new(0, content, SingleWord: false, LeftStrip: false, RightStrip: false, Normalized: false, Special: true));
        }
    }
}
