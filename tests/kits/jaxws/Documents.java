import jakarta.activation.DataHandler;
import jakarta.jws.WebMethod;
import jakarta.jws.WebParam;
import jakarta.jws.WebResult;
import jakarta.jws.WebService;
import jakarta.xml.bind.annotation.XmlAccessType;
import jakarta.xml.bind.annotation.XmlAccessorType;
import jakarta.xml.bind.annotation.XmlAttribute;
import jakarta.xml.bind.annotation.XmlElement;
import jakarta.xml.bind.annotation.XmlMimeType;
import jakarta.xml.bind.annotation.XmlType;
import jakarta.xml.ws.Holder;

/** A service as tools generate it from a WSDL for X-Road: the header blocks are parameters. */
@WebService(name = "Documents", targetNamespace = Documents.NAMESPACE)
public interface Documents {
    String NAMESPACE = "urn:causeway:kit";
    String HEADERS = "http://x-road.eu/xsd/xroad.xsd";
    String IDENTIFIERS = "http://x-road.eu/xsd/identifiers";

    /** Gives a document back turned round, with its size. */
    @WebMethod
    @WebResult(name = "turned", targetNamespace = NAMESPACE)
    Document turn(
        @WebParam(name = "client", targetNamespace = HEADERS, header = true, mode = WebParam.Mode.INOUT)
        Holder<Identifier> client,
        @WebParam(name = "service", targetNamespace = HEADERS, header = true, mode = WebParam.Mode.INOUT)
        Holder<Identifier> service,
        @WebParam(name = "userId", targetNamespace = HEADERS, header = true, mode = WebParam.Mode.INOUT)
        Holder<String> userId,
        @WebParam(name = "id", targetNamespace = HEADERS, header = true, mode = WebParam.Mode.INOUT)
        Holder<String> id,
        @WebParam(name = "protocolVersion", targetNamespace = HEADERS, header = true, mode = WebParam.Mode.INOUT)
        Holder<String> protocolVersion,
        @WebParam(name = "document", targetNamespace = NAMESPACE)
        Document document);

    /** A client or a service. */
    @XmlAccessorType(XmlAccessType.FIELD)
    @XmlType(namespace = IDENTIFIERS, propOrder = {
        "instance", "memberClass", "memberCode", "subsystemCode", "serviceCode"})
    class Identifier {
        @XmlAttribute(namespace = IDENTIFIERS)
        public String objectType;
        @XmlElement(name = "xRoadInstance", namespace = IDENTIFIERS)
        public String instance;
        @XmlElement(namespace = IDENTIFIERS)
        public String memberClass;
        @XmlElement(namespace = IDENTIFIERS)
        public String memberCode;
        @XmlElement(namespace = IDENTIFIERS)
        public String subsystemCode;
        @XmlElement(namespace = IDENTIFIERS)
        public String serviceCode;

        public static Identifier of(String... parts) {
            Identifier made = new Identifier();
            made.objectType = parts.length > 4 ? "SERVICE" : "SUBSYSTEM";
            made.instance = parts[0];
            made.memberClass = parts[1];
            made.memberCode = parts[2];
            made.subsystemCode = parts[3];
            made.serviceCode = parts.length > 4 ? parts[4] : null;
            return made;
        }
    }

    /** A document, with how its octets came: inside the XML or beside it. */
    @XmlAccessorType(XmlAccessType.FIELD)
    @XmlType(namespace = NAMESPACE, propOrder = {"size", "cameAs", "content"})
    class Document {
        @XmlElement(namespace = NAMESPACE)
        public int size;
        @XmlElement(namespace = NAMESPACE)
        public String cameAs;
        @XmlElement(namespace = NAMESPACE)
        @XmlMimeType("application/octet-stream")
        public DataHandler content;
    }
}
