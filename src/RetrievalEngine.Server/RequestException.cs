using System;

namespace RetrievalEngine.Server;

/// <summary>A request that is not answered as asked: the status, a word for programs, and a sentence for people.</summary>
internal sealed class RequestException : Exception
{
    private RequestException(int status, string type, string message, int? retryAfter = null)
        : base(message)
    {
        Status = status;
        Type = type;
        RetryAfter = retryAfter;
    }

    /// <summary>The HTTP status.</summary>
    public int Status { get; }

    /// <summary>The kind of error.</summary>
    public string Type { get; }

    /// <summary>Seconds after which it may be tried again; null where that does not help.</summary>
    public int? RetryAfter { get; }

    /// <summary>The body is not what the route takes.</summary>
    public static RequestException Malformed(string message) => new(400, "invalid_request_error", message);

    /// <summary>No key, or a wrong one.</summary>
    public static RequestException Unauthorized() => new(401, "invalid_api_key", "a key is needed: Authorization: Bearer KEY");

    /// <summary>Nothing of this name is served.</summary>
    public static RequestException NotFound(string message) => new(404, "not_found", message);

    /// <summary>More than one request may hold.</summary>
    public static RequestException TooLarge(string message) => new(413, "batch_size", message);

    /// <summary>What the request holds cannot be computed.</summary>
    public static RequestException Invalid(string message) => new(422, "validation", message);

    /// <summary>Too much is asked for at once.</summary>
    public static RequestException Overloaded(int retryAfter) => new(429, "overloaded", $"the server is busy; try again in {retryAfter} s", retryAfter);

    /// <summary>The model failed on the request.</summary>
    public static RequestException Failed(string message) => new(500, "inference", message);

    /// <summary>The server is going down.</summary>
    public static RequestException Stopping() => new(503, "unhealthy", "the server is stopping", 1);
}
