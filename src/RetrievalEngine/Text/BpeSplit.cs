namespace RetrievalEngine.Text;

/// <summary>How <see cref="BpeTrainer"/> splits text into pieces that no token crosses.</summary>
public enum BpeSplit
{
    /// <summary>GPT-2's pattern, no normalisation.</summary>
    Gpt2,

    /// <summary>Qwen2's pattern (single digits, line breaks apart), NFC.</summary>
    Qwen2,
}
