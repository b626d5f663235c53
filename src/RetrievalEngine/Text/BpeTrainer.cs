using System;
using System.Buffers;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RetrievalEngine.Text;

/// <summary>
/// Learns a byte-level BPE vocabulary (Sennrich et al. 2016): again and again the most frequent pair of neighbouring tokens becomes a token; of
/// equally frequent ones that with the smaller ids. The result depends on nothing but the texts. Counts are kept up to date from the words that
/// hold the merged pair, never made anew.
/// </summary>
public static class BpeTrainer
{
    /// <summary>
    /// Learns from <paramref name="texts"/> and returns a <c>tokenizer.json</c> (UTF-8) that this program and the Hugging Face library load.
    /// </summary>
    /// <param name="texts">The texts; each is read once.</param>
    /// <param name="vocabSize">Tokens in all: special ones, 256 bytes, merges. Fewer where the texts give no more pairs.</param>
    /// <param name="specialTokens">Special tokens, which get the first ids.</param>
    /// <param name="split">How text is split into pieces.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="vocabSize"/> does not hold the bytes and the special tokens.</exception>
    public static byte[] Train(IEnumerable<string> texts, int vocabSize, IReadOnlyList<string> specialTokens, BpeSplit split = BpeSplit.Qwen2)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(specialTokens);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabSize, 256 + specialTokens.Count);
        List<string> vocabulary = [.. specialTokens];
        char[] alphabet = ByteAlphabet.Characters.ToCharArray();
        Array.Sort(alphabet);
        Dictionary<string, int> ids = [];
        foreach (string token in specialTokens)
        {
            if (!ids.TryAdd(token, ids.Count)) throw new ArgumentException($"the special token \"{token}\" is given twice", nameof(specialTokens));
        }

        foreach (char letter in alphabet)
        {
            string token = letter.ToString();
            if (!ids.TryAdd(token, ids.Count)) throw new ArgumentException($"\"{token}\" cannot be a special token", nameof(specialTokens));
            vocabulary.Add(token);
        }

        List<(int Left, int Right)> merges = Learn(CountPieces(texts, split), vocabulary, ids, vocabSize);
        return Write(vocabulary, merges, specialTokens, split);
    }

    private static Dictionary<string, long> CountPieces(IEnumerable<string> texts, BpeSplit split)
    {
        GptPattern pattern = split == BpeSplit.Gpt2 ? GptPattern.Gpt2 : GptPattern.Qwen2;
        Dictionary<string, long> counts = [];
        Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        NormalizedText normalized = new();
        List<TextPiece> pieces = [];
        foreach (string text in texts)
        {
            normalized.Reset(text, 0, track: false);
            if (split == BpeSplit.Qwen2) UnicodeFormNormalizer.Apply(normalized, UnicodeTables.Traits.Nfc);
            pieces.Clear();
            pattern.Split(normalized.Text, 0, pieces);
            foreach (TextPiece piece in pieces) CollectionsMarshal.GetValueRefOrAddDefault(lookup, normalized.Text[piece.Start..piece.End], out _)++;
        }

        return counts;
    }

    private static List<(int Left, int Right)> Learn(
        Dictionary<string, long> pieces, List<string> vocabulary, Dictionary<string, int> ids, int vocabSize)
    {
        int[] byteIds = new int[256];
        for (int b = 0; b < 256; b++) byteIds[b] = ids[ByteAlphabet.Characters[b].ToString()];
        List<(int[] Symbols, int Length, long Count)> words = new(pieces.Count);
        PairCounts pairs = new();
        foreach ((string piece, long count) in pieces)
        {
            int[] symbols = Array.ConvertAll(System.Text.Encoding.UTF8.GetBytes(piece), b => byteIds[b]);
            for (int i = 1; i < symbols.Length; i++) pairs.Add((symbols[i - 1], symbols[i]), count, words.Count);
            words.Add((symbols, symbols.Length, count));
        }

        pairs.Queue();
        List<(int Left, int Right)> merges = [];
        while (vocabulary.Count < vocabSize && pairs.TryTake(out (int Left, int Right) best, out List<int> holders))
        {
            string token = vocabulary[best.Left] + vocabulary[best.Right];
            if (!ids.TryGetValue(token, out int id))
            {
                ids[token] = id = vocabulary.Count;
                vocabulary.Add(token);
            }

            merges.Add(best);
            foreach (int holder in holders) MergeWord(ref CollectionsMarshal.AsSpan(words)[holder], holder, best, id, pairs);
            pairs.Queue();
        }

        return merges;
    }

    /// <summary>Merges a pair everywhere in a word, and moves the counts of the pairs around it.</summary>
    private static void MergeWord(
        ref (int[] Symbols, int Length, long Count) word, int index, (int Left, int Right) pair, int id, PairCounts pairs)
    {
        int[] symbols = word.Symbols;
        int length = 0;
        for (int i = 0; i < word.Length; i++)
        {
            if (i + 1 >= word.Length || symbols[i] != pair.Left || symbols[i + 1] != pair.Right)
            {
                symbols[length++] = symbols[i];
                continue;
            }

            if (length > 0)
            {
                pairs.Add((symbols[length - 1], pair.Left), -word.Count, index);
                pairs.Add((symbols[length - 1], id), word.Count, index);
            }

            if (i + 2 < word.Length)
            {
                // The merged pair itself (a a in a a a) is counted no more.
                if ((pair.Right, symbols[i + 2]) != pair) pairs.Add((pair.Right, symbols[i + 2]), -word.Count, index);
                pairs.Add((id, symbols[i + 2]), word.Count, index);
            }

            symbols[length++] = id;
            i++;
        }

        word.Length = length;
    }

    private static byte[] Write(List<string> vocabulary, List<(int Left, int Right)> merges, IReadOnlyList<string> specialTokens, BpeSplit split)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("version", "1.0");
            writer.WriteNull("truncation");
            writer.WriteNull("padding");
            writer.WriteStartArray("added_tokens");
            for (int id = 0; id < specialTokens.Count; id++)
            {
                writer.WriteStartObject();
                writer.WriteNumber("id", id);
                writer.WriteString("content", specialTokens[id]);
                foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "normalized"]) writer.WriteBoolean(flag, false);
                writer.WriteBoolean("special", true);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            WriteComponents(writer, split);
            writer.WriteStartObject("model");
            writer.WriteString("type", "BPE");
            foreach (string field in (string[])["dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"]) writer.WriteNull(field);
            foreach (string flag in (string[])["fuse_unk", "byte_fallback", "ignore_merges"]) writer.WriteBoolean(flag, false);
            writer.WriteStartObject("vocab");
            for (int id = 0; id < vocabulary.Count; id++) writer.WriteNumber(vocabulary[id], id);
            writer.WriteEndObject();
            writer.WriteStartArray("merges");
            foreach ((int left, int right) in merges)
            {
                writer.WriteStartArray();
                writer.WriteStringValue(vocabulary[left]);
                writer.WriteStringValue(vocabulary[right]);
                writer.WriteEndArray();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteComponents(Utf8JsonWriter writer, BpeSplit split)
    {
        if (split == BpeSplit.Gpt2)
        {
            writer.WriteNull("normalizer");
            writer.WritePropertyName("pre_tokenizer");
            WriteByteLevel(writer, useRegex: true);
        }
        else
        {
            writer.WriteStartObject("normalizer");
            writer.WriteString("type", "NFC");
            writer.WriteEndObject();
            writer.WriteStartObject("pre_tokenizer");
            writer.WriteString("type", "Sequence");
            writer.WriteStartArray("pretokenizers");
            writer.WriteStartObject();
            writer.WriteString("type", "Split");
            writer.WriteStartObject("pattern");
            writer.WriteString("Regex", GptPattern.Qwen2.Regex);
            writer.WriteEndObject();
            writer.WriteString("behavior", "Isolated");
            writer.WriteBoolean("invert", false);
            writer.WriteEndObject();
            WriteByteLevel(writer, useRegex: false);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteNull("post_processor");
        writer.WritePropertyName("decoder");
        WriteByteLevel(writer, useRegex: true);
    }

    private static void WriteByteLevel(Utf8JsonWriter writer, bool useRegex)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "ByteLevel");
        writer.WriteBoolean("add_prefix_space", false);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", useRegex);
        writer.WriteEndObject();
    }

    /// <summary>How often each pair occurs, in which words it may stand, and a queue that yields the most frequent one.</summary>
    private sealed class PairCounts
    {
        private readonly Dictionary<(int Left, int Right), Entry> _entries = [];
        private readonly PriorityQueue<(int Left, int Right), (long Count, int Left, int Right)> _queue = new();
        private readonly List<(int Left, int Right)> _grown = [];

        public void Add((int Left, int Right) pair, long count, int word)
        {
            ref Entry? entry = ref CollectionsMarshal.GetValueRefOrAddDefault(_entries, pair, out _);
            entry ??= new();
            entry.Count += count;
            if (count < 0) return;
            if (entry.Words.Count == 0 || entry.Words[^1] != word) entry.Words.Add(word);
            if (entry.Grown) return;
            entry.Grown = true;
            _grown.Add(pair);
        }

        /// <summary>Queues the pairs that became more frequent.</summary>
        public void Queue()
        {
            foreach ((int Left, int Right) pair in _grown)
            {
                Entry entry = _entries[pair];
                entry.Grown = false;
                if (entry.Count > 0) _queue.Enqueue(pair, (-entry.Count, pair.Left, pair.Right));
            }

            _grown.Clear();
        }

        /// <summary>Takes the most frequent pair out; entries whose count has changed since are queued again as they are now.</summary>
        public bool TryTake(out (int Left, int Right) pair, out List<int> words)
        {
            while (_queue.TryDequeue(out pair, out (long Count, int Left, int Right) priority))
            {
                if (!_entries.TryGetValue(pair, out Entry? entry)) continue;
                if (entry.Count == -priority.Count)
                {
                    _entries.Remove(pair);
                    words = entry.Words;
                    return true;
                }

                if (entry.Count > 0) _queue.Enqueue(pair, (-entry.Count, pair.Left, pair.Right));
            }

            words = [];
            return false;
        }

        private sealed class Entry
        {
            public long Count;
            public bool Grown;
            public readonly List<int> Words = [];
        }
    }
}
