using System;

namespace RetrievalEngine;

/// <summary>
/// Something a user gave (a file, a folder, an option) cannot be used. The message is one clear sentence that says what, where and what to do;
/// the command prints it without a stack trace and exits with code 2.
/// </summary>
public sealed class InputException : Exception
{
    /// <summary>The sentence for the user.</summary>
    public InputException(string message)
        : base(message)
    {
    }

    /// <summary>The sentence for the user, and what it was made from.</summary>
    public InputException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
