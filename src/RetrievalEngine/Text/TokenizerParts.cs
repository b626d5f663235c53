using System;

namespace RetrievalEngine.Text;

/// <summary>What a tokenizer consists of, whichever files it came from.</summary>
/// <param name="Normalizer">Rewrites the text first.</param>
/// <param name="PreTokenizers">Split it.</param>
/// <param name="IsByteLevel">Whether the model reads pieces in the byte alphabet.</param>
/// <param name="Model">Makes tokens of pieces.</param>
/// <param name="Added">Tokens found as they stand.</param>
/// <param name="PostProcessor">Puts special tokens around.</param>
/// <param name="Decoder">From tokens to text.</param>
internal sealed record TokenizerParts(
    Normalizer? Normalizer, PreTokenizer[] PreTokenizers, bool IsByteLevel, TokenModel Model, AddedToken[] Added, PostProcessor PostProcessor, Decoder? Decoder)
{
    /// <summary>Puts them together.</summary>
    public Tokenizer Build(Func<Tokenizer, SpecialTokens> special, string hash, TruncationSide side = TruncationSide.Right) =>
        new(new TokenPipeline(Normalizer, PreTokenizers, IsByteLevel, Model, Added), PostProcessor, Decoder, special, hash) { TruncationSide = side };
}
