using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Text;

/// <summary>
/// Turns text into token ids and back, exactly as the Hugging Face tokenizers library does with the same files. Truncation and padding written in
/// <c>tokenizer.json</c> are ignored: the caller says how long a text may be. Thread-safe.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenPipeline _pipeline;
    private readonly PostProcessor _postProcessor;
    private readonly Decoder? _decoder;
    private readonly ConcurrentBag<TokenBuffer> _buffers = [];

    internal Tokenizer(TokenPipeline pipeline, PostProcessor postProcessor, Decoder? decoder, Func<Tokenizer, SpecialTokens> special, string hash)
    {
        _pipeline = pipeline;
        _postProcessor = postProcessor;
        _decoder = decoder;
        Hash = hash;
        Special = special(this);
    }

    /// <summary>SHA-256, in hexadecimal digits, of the file or files that decide the ids.</summary>
    public string Hash { get; }

    /// <summary>The special tokens and the length that the files beside the vocabulary name.</summary>
    public SpecialTokens Special { get; }

    /// <summary>Which end of a text that is too long goes, as <c>tokenizer_config.json</c> says: a default for the caller, who names the side.</summary>
    public TruncationSide TruncationSide { get; init; }

    /// <summary>How many special tokens are put around a single text.</summary>
    public int SpecialTokenCount => PostProcessor.SpecialCount(_postProcessor.Single);

    /// <summary>One more than the largest id: the embedding rows that a model needs.</summary>
    public int IdLimit
    {
        get
        {
            int limit = _pipeline.Model.Vocabulary.IdLimit;
            foreach (int id in _pipeline.AddedById.Keys) limit = Math.Max(limit, id + 1);
            return limit;
        }
    }

    /// <summary>The names of the files that <see cref="Load"/> reads a vocabulary from; none where the folder has no tokenizer.</summary>
    public static IReadOnlyList<string> FilesIn(string folder) => TokenizerFiles.Find(folder);

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <exception cref="InputException">There is none, or it cannot be used.</exception>
    public static Tokenizer Load(string folder) => TokenizerFiles.Load(folder);

    /// <summary>The ids of <paramref name="text"/>.</summary>
    /// <param name="text">Any text; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether the post-processor's special tokens are put around it.</param>
    /// <param name="maxTokens">The most ids, special ones included; a text that loses its end is not read further than needed.</param>
    /// <param name="side">Which end of what is too long goes.</param>
    public int[] Encode(ReadOnlySpan<char> text, bool addSpecialTokens = true, int maxTokens = int.MaxValue, TruncationSide side = TruncationSide.Right)
    {
        TemplatePart[] template = _postProcessor.Single;
        int limit = Budget(template, addSpecialTokens, maxTokens);
        TokenBuffer buffer = Rent();
        EncodeSequence(text, limit, side, track: false, buffer);
        buffer.Truncate(limit, side);
        List<int> ids = new(buffer.Count + 4);
        foreach (TemplatePart part in template)
        {
            if (part.Sequence == 0) ids.AddRange(buffer.Ids);
            else if (addSpecialTokens) ids.AddRange(part.Ids);
        }

        _buffers.Add(buffer);
        return [.. ids];
    }

    /// <summary>The tokens of <paramref name="text"/> with their offsets; arguments as for <see cref="Encode"/>.</summary>
    public TokenizedText EncodeWithOffsets(
        ReadOnlySpan<char> text, bool addSpecialTokens = true, int maxTokens = int.MaxValue, TruncationSide side = TruncationSide.Right) =>
        EncodeTracked(text, default, pair: false, addSpecialTokens, maxTokens, side, PairTruncation.OnlyFirst);

    /// <summary>
    /// The tokens of a pair of texts with their offsets; arguments as for <see cref="Encode"/>. <paramref name="truncation"/> says which text is cut
    /// where they are too long; one that is to be cut alone and cannot become short enough is left without a token, and the other is cut as well.
    /// </summary>
    public TokenizedText EncodePair(
        ReadOnlySpan<char> first, ReadOnlySpan<char> second, bool addSpecialTokens = true, int maxTokens = int.MaxValue,
        TruncationSide side = TruncationSide.Right, PairTruncation truncation = PairTruncation.LongestFirst) =>
        EncodeTracked(first, second, pair: true, addSpecialTokens, maxTokens, side, truncation);

    /// <summary>The text of <paramref name="ids"/>; ids that are no token are left out, and special tokens where asked for.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = false)
    {
        List<string> tokens = new(ids.Length);
        foreach (int id in ids)
        {
            if (skipSpecialTokens && IsSpecial(id)) continue;
            if (IdToToken(id) is { } token) tokens.Add(token);
        }

        return _decoder is null ? string.Join(' ', tokens) : string.Concat(_decoder.Decode(tokens));
    }

    /// <summary>Whether the token of <paramref name="id"/> stands for no text, such as [CLS] or EOS.</summary>
    public bool IsSpecial(int id) => _pipeline.AddedById.TryGetValue(id, out AddedToken? added) && added.Special;

    /// <summary>The id of a token, added tokens first; null where there is none.</summary>
    public int? TokenToId(string token)
    {
        foreach ((int id, AddedToken added) in _pipeline.AddedById)
        {
            if (added.Content == token) return id;
        }

        return _pipeline.Model.Vocabulary.IdOf(token) is >= 0 and int found ? found : null;
    }

    /// <summary>The token of an id, as the vocabulary writes it; null where there is none.</summary>
    public string? IdToToken(int id) =>
        _pipeline.AddedById.TryGetValue(id, out AddedToken? added) ? added.Content : _pipeline.Model.Vocabulary.TokenOf(id);

    private static int Budget(TemplatePart[] template, bool addSpecialTokens, int maxTokens)
    {
        int special = addSpecialTokens ? PostProcessor.SpecialCount(template) : 0;
        if (maxTokens < special) throw new ArgumentOutOfRangeException(nameof(maxTokens), $"at least the {special} special tokens must fit");
        return maxTokens - special;
    }

    private TokenizedText EncodeTracked(ReadOnlySpan<char> first, ReadOnlySpan<char> second, bool pair, bool addSpecialTokens, int maxTokens,
        TruncationSide side, PairTruncation truncation)
    {
        TemplatePart[] template = pair ? _postProcessor.Pair : _postProcessor.Single;
        int limit = Budget(template, addSpecialTokens, maxTokens);
        TokenBuffer a = Rent(), b = Rent();
        EncodeSequence(first, limit, side, track: true, a);
        EncodeSequence(second, limit, side, track: true, b);
        (int firstCount, int secondCount) = Share(a.Count, b.Count, limit, truncation);
        a.Truncate(firstCount, side);
        b.Truncate(secondCount, side);
        Finish(first, a);
        Finish(second, b);
        List<int> ids = [], types = [];
        List<string> tokens = [];
        List<(int Start, int End)> offsets = [];
        foreach (TemplatePart part in template)
        {
            int before = ids.Count;
            if (part.Sequence >= 0)
            {
                TokenBuffer buffer = part.Sequence == 0 ? a : b;
                ids.AddRange(buffer.Ids);
                tokens.AddRange(buffer.Tokens);
                offsets.AddRange(buffer.Offsets);
            }
            else if (addSpecialTokens)
            {
                ids.AddRange(part.Ids);
                tokens.AddRange(part.Tokens);
                for (int i = 0; i < part.Ids.Length; i++) offsets.Add((0, 0));
            }

            for (int i = before; i < ids.Count; i++) types.Add(part.TypeId);
        }

        _buffers.Add(a);
        _buffers.Add(b);
        return new([.. ids], [.. types], [.. tokens], [.. offsets]);
    }

    private void EncodeSequence(ReadOnlySpan<char> text, int limit, TruncationSide side, bool track, TokenBuffer buffer)
    {
        bool left = side == TruncationSide.Left;
        buffer.Reset(track, left ? limit : int.MaxValue);
        _pipeline.Encode(text, left ? int.MaxValue : limit, buffer);
    }

    /// <summary>How many tokens of each text stay.</summary>
    private static (int First, int Second) Share(int first, int second, int limit, PairTruncation truncation)
    {
        if ((long)first + second <= limit) return (first, second);
        if (truncation == PairTruncation.OnlyFirst) return (Math.Max(0, limit - second), Math.Min(second, limit));
        if (truncation == PairTruncation.OnlySecond) return (Math.Min(first, limit), Math.Max(0, limit - first));
        // The reference's rule: the shorter text stays whole while the longer one has more than it; the second gets the odd token.
        int few = Math.Min(Math.Min(first, second), limit), many = Math.Max(few, limit - few);
        if ((long)few + many > limit) (few, many) = (limit / 2, limit - (limit / 2));
        return first > second ? (many, few) : (few, many);
    }

    /// <summary>Turns offsets into code points and trims them.</summary>
    private void Finish(ReadOnlySpan<char> text, TokenBuffer buffer)
    {
        Span<(int Start, int End)> offsets = CollectionsMarshal.AsSpan(buffer.Offsets);
        if (offsets.Length > 0 && text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            int[] codePoints = new int[text.Length + 1];
            int count = 0;
            for (int i = 0, units; i < text.Length; i += units, count++)
            {
                NormalizedText.CodePointAt(text, i, out units);
                codePoints[i] = count;
                if (units == 2) codePoints[i + 1] = count;
            }

            codePoints[text.Length] = count;
            foreach (ref (int Start, int End) offset in offsets) offset = (codePoints[offset.Start], codePoints[offset.End]);
        }

        foreach (bool addPrefixSpace in _postProcessor.Trims)
        {
            PostProcessor.TrimOffsets(CollectionsMarshal.AsSpan(buffer.Tokens), offsets, addPrefixSpace);
        }
    }

    private TokenBuffer Rent() => _buffers.TryTake(out TokenBuffer? buffer) ? buffer : new();
}
